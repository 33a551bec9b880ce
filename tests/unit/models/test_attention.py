from dataclasses import replace

import torch
from torch import Tensor

from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.models.attention import KeyValue, MultiheadAttention, attend


def inputs(rows: int = 3, samples: int = 3) -> tuple[Tensor, KeyValue, Tensor]:
    torch.manual_seed(1)
    query = torch.randn(rows, 2, 5, 4)
    keys_values = KeyValue(torch.randn(samples, 2, 7, 4), torch.randn(samples, 2, 7, 4))
    return query, keys_values, torch.randn(1, 2, 5, 7)


def by_hand(query: Tensor, kv: KeyValue, bias: Tensor, scale: float) -> Tensor:
    weights = (torch.einsum("bhtd,bhsd->bhts", query, kv.keys) * scale + bias).softmax(-1)
    return torch.einsum("bhts,bhsd->bhtd", weights, kv.values)


def test_both_kernels_agree_with_the_formula() -> None:
    query, kv, bias = inputs()
    expected = by_hand(query, kv, bias, 0.3)
    with torch.no_grad():
        fused = attend(query, kv, bias, scale=0.3)
    plain = attend(query.requires_grad_(), kv, bias, scale=0.3)
    assert torch.allclose(fused, expected, atol=1e-6)
    assert torch.allclose(plain, expected, atol=1e-6)


def test_padding_hides_keys_in_both_kernels() -> None:
    query, kv, bias = inputs()
    padding = torch.zeros(3, 7, dtype=torch.bool)
    padding[1, 4:] = True
    expected = by_hand(query[1:2], KeyValue(*(x[1:2, :, :4] for x in kv)), bias[..., :4], 1.0)
    with torch.no_grad():
        fused = attend(query, kv, bias, padding)
    plain = attend(query.requires_grad_(), kv, bias, padding)
    assert torch.allclose(fused[1:2], expected, atol=1e-6)
    assert torch.allclose(plain[1:2], expected, atol=1e-6)


def test_rows_of_a_sample_share_its_keys() -> None:
    query, kv, bias = inputs(rows=6, samples=2)
    repeated = KeyValue(*(x.repeat_interleave(3, dim=0) for x in kv))
    for b in (bias, torch.randn(2, 2, 5, 7), torch.randn(6, 2, 5, 7)):
        full = b.repeat_interleave(3, dim=0) if b.size(0) == 2 else b
        expected = by_hand(query, repeated, full, 1.0)
        assert torch.allclose(attend(query, kv, b), expected, atol=1e-6)


def test_gradients_reach_the_bias_through_hidden_pairs() -> None:
    query, kv, bias = inputs()
    raw = bias.requires_grad_()
    hidden = torch.ones(5, 7, dtype=torch.bool).triu(3)
    attend(query, kv, raw.masked_fill(hidden, -torch.inf)).sum().backward()
    assert raw.grad is not None and raw.grad.isfinite().all()
    assert (raw.grad[..., hidden] == 0).all()


def test_half_precision_normalises_in_float32() -> None:
    query, kv, bias = inputs()
    half = KeyValue(*(x.bfloat16() for x in kv))
    out = attend(query.bfloat16().requires_grad_(), half, bias.bfloat16())
    assert out.dtype == torch.bfloat16
    assert torch.allclose(out.float(), by_hand(query, kv, bias, 1.0), atol=0.05)


def test_attention_dropout_acts_in_training_only(config: ModelConfig) -> None:
    module = MultiheadAttention(replace(config, attention_dropout=0.9))
    x, bias = torch.randn(2, 4, 16), torch.zeros(1, 2, 4, 4)

    def run() -> Tensor:
        return module(module.queries(x), module.keys_values(x), bias)

    assert not torch.equal(module.train() and run(), run())
    assert torch.equal(module.eval() and run(), run())


def test_each_head_is_scaled_before_the_output_projection(config: ModelConfig) -> None:
    module = MultiheadAttention(config)
    x, bias = torch.randn(2, 4, 16), torch.zeros(1, 2, 4, 4)
    with torch.no_grad():
        module.c_attn.copy_(torch.tensor([0.0, 2.0]))
        module.out_proj.bias.zero_()
        out = module(module.queries(x), module.keys_values(x), bias)
        module.c_attn.fill_(1.0)
        module.out_proj.weight[:, :8] = 0
        module.out_proj.weight[:, 8:] *= 2
        assert torch.allclose(out, module(module.queries(x), module.keys_values(x), bias))
