"""Blocks that recompute in backward, against the same formulas left to autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.models import lean_attention
from biomedgpt_fairseq.models.attention import KeyValue, attend
from biomedgpt_fairseq.models.bias import Block, LayerBias
from biomedgpt_fairseq.models.lean_feed_forward import lean_feed_forward

B, H, T, S, WIDTH, ROWS = 3, 2, 5, 7, 4, 6


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64).requires_grad_()


def gradients(output: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    torch.manual_seed(9)
    return torch.autograd.grad(output, inputs, torch.randn(output.shape, dtype=output.dtype))


def plain(
    query: Tensor,
    kv: KeyValue,
    bias: Tensor,
    padding: Tensor | None,
    scale: float,
    factor: Tensor | None,
) -> Tensor:
    scores = query @ kv.keys.transpose(2, 3) * scale + bias
    if padding is not None:
        scores = scores.masked_fill(padding[:, None, None], -torch.inf)
    context = scores.softmax(-1) @ kv.values
    return context if factor is None else context * factor[:, None, None]


@pytest.mark.parametrize("samples_of_bias", [1, B])
@pytest.mark.parametrize("per_sample_buckets", [False, True])
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_attention_and_all_its_gradients(
    samples_of_bias: int,
    per_sample_buckets: bool,
    hidden: bool,
    scaled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(lean_attention, "CHUNK_ELEMENTS", 2 * T * S)  # two samples at a time
    query, kv = normal(B, H, T, WIDTH), KeyValue(normal(B, H, S, WIDTH), normal(B, H, S, WIDTH))
    shared, tables = normal(samples_of_bias, H, T, S), [normal(ROWS, H), normal(ROWS, H)]
    shape = (B, 3, 3) if per_sample_buckets else (3, 3)
    blocks = (
        Block(tables[0], torch.randint(ROWS, (2, 2), dtype=torch.int32), 3, 5),
        Block(tables[1], torch.randint(ROWS, shape, dtype=torch.int32), 0, 1),
    )
    bias, factor = LayerBias(shared, blocks), normal(H) if scaled else None
    padding = torch.arange(S) >= torch.tensor([[7], [4], [6]]) if hidden else None
    got = attend(query, kv, bias, padding, 0.3, head_scale=factor)
    want = plain(query, kv, bias.dense(), padding, 0.3, factor)
    torch.testing.assert_close(got, want)
    inputs = [query, *kv, shared, *tables, *([factor] if factor is not None else [])]
    torch.testing.assert_close(gradients(got, inputs), gradients(want, inputs))


def test_dense_bias_puts_the_tables_where_they_belong() -> None:
    table, buckets = normal(ROWS, H), torch.randint(ROWS, (2, 2))
    bias = LayerBias(normal(1, H, 3, 4), (Block(table, buckets, 1, 2),))
    added = bias.dense() - bias.shared
    assert torch.equal(added[0, :, 0], torch.zeros(H, 4, dtype=torch.float64))
    torch.testing.assert_close(added[0, :, 1:, 2:], table[buckets].permute(2, 0, 1))
    torch.testing.assert_close(bias.of_head(1), bias.dense()[:, 1])


def test_attention_in_bfloat16_stays_close() -> None:
    torch.manual_seed(0)
    parts = [torch.randn(B, H, n, WIDTH) for n in (T, S, S)]
    bias, factor = torch.randn(1, H, T, S), torch.randn(H)
    narrow = [part.bfloat16().requires_grad_() for part in parts]
    out = attend(
        narrow[0], KeyValue(*narrow[1:]), bias.bfloat16(), None, 0.3, head_scale=factor.bfloat16()
    )
    out.sum().backward()
    want = plain(parts[0], KeyValue(*parts[1:]), bias, None, 0.3, factor)
    torch.testing.assert_close(out.float(), want, rtol=0.05, atol=0.05)
    assert all(part.grad is not None and part.grad.isfinite().all() for part in narrow)


def saved_numbers(run: Callable[[], Tensor], *modules: nn.Module) -> int:
    """Numbers kept for backward, each piece of memory counted once, without parameters."""
    kept: dict[int, int] = {}
    own = {p.data_ptr() for module in modules for p in module.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes() // tensor.element_size()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        run().sum().backward()
    return sum(kept.values())


def test_attention_keeps_nothing_of_the_size_of_scores_per_layer() -> None:
    long = 50
    query, kv = (
        normal(1, H, long, WIDTH),
        KeyValue(normal(1, H, long, WIDTH), normal(1, H, long, WIDTH)),
    )
    bias = normal(1, H, long, long)
    alone = saved_numbers(lambda: attend(query, kv, bias))
    assert alone == 3 * query.numel() + bias.numel()
    assert (
        saved_numbers(lambda: attend(attend(query, kv, bias), kv, bias)) < alone + 2 * query.numel()
    )


@pytest.mark.parametrize("activation", [nn.GELU(), nn.ReLU()])
@pytest.mark.parametrize("normed", [False, True])
def test_feed_forward_and_all_its_gradients(activation: nn.Module, normed: bool) -> None:
    torch.manual_seed(0)
    norm = (nn.LayerNorm(WIDTH) if normed else nn.Identity()).double()
    linear = nn.Linear(WIDTH, 3).double()
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    hidden = normal(B, T, WIDTH)
    got = lean_feed_forward(hidden, activation, norm, linear)
    want = linear(norm(activation(hidden)))
    torch.testing.assert_close(got, want)
    inputs = [hidden, *norm.parameters(), *linear.parameters()]
    torch.testing.assert_close(gradients(got, inputs), gradients(want, inputs))
    assert (
        saved_numbers(lambda: lean_feed_forward(hidden, activation, norm, linear), norm, linear)
        == hidden.numel()
    )


def test_other_modules_are_called_as_they_are() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    hidden, linear = torch.randn(2, WIDTH, requires_grad=True), Doubled(WIDTH, 3)
    got = lean_feed_forward(hidden, nn.GELU(), nn.Identity(), linear)
    torch.testing.assert_close(got, 2 * F.linear(F.gelu(hidden), linear.weight, linear.bias))


def test_memory_of_biases_does_not_grow_with_the_layers(config: ModelConfig, build: Any) -> None:
    """Two more layers keep what their vectors need, and no bias."""
    sizes, tokens = {}, torch.randint(4, 40, (1, 28))
    for layers in (2, 4):
        model = build(replace(config, encoder_layers=layers, decoder_layers=1)).train()
        sizes[layers] = saved_numbers(
            lambda model=model: model.encoder.encode(tokens)["encoder_out"],  # type: ignore[misc]
            model,
        )
    per_layer = (sizes[4] - sizes[2]) / 2
    one_bias = config.heads * 28 * 28
    vectors = 28 * (9 * config.dim + config.ffn_dim)
    assert per_layer < vectors + one_bias / 2
