import pytest
import torch

from biomedgpt_fairseq.adapters.attach import AdapterOptions, PromptOptions, attach
from biomedgpt_fairseq.adapters.freezing import FreezeOptions, freeze, trainable_parameters

TABLE = "encoder.embed_tokens.weight"


@pytest.fixture
def attached(model):
    attach(model, AdapterOptions(4, PromptOptions(3), PromptOptions(3)))
    return model


def test_everything_is_trained_by_default(attached) -> None:
    every = {name for name, _ in attached.named_parameters()}
    assert trainable_parameters(attached, FreezeOptions()) == every


def test_token_embedding_alone(attached) -> None:
    every = {name for name, _ in attached.named_parameters()}
    chosen = trainable_parameters(attached, FreezeOptions(token_embedding=True))
    assert every - chosen == {TABLE}


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_frozen_stack_keeps_the_shared_table_and_trains_its_attachments(attached, stack) -> None:
    chosen = trainable_parameters(attached, FreezeOptions(**{stack: True}))
    own = {name for name in chosen if name.startswith(stack)}
    assert TABLE not in chosen
    assert f"{stack}.layers.0.adapter.up_proj.weight" in own
    assert f"{stack}.{stack}_prompt_encoder.embedding.weight" in own
    assert f"{stack}.layers.0.fc1.weight" not in own
    other = "decoder" if stack == "encoder" else "encoder"
    assert f"{other}.layers.0.fc1.weight" in chosen


def test_attached_only_trains_adapters_and_prompts(attached) -> None:
    chosen = trainable_parameters(attached, FreezeOptions(attached_only=True))
    assert len(chosen) == 4 * 5 + 2
    assert all(".adapter." in name or "_prompt_encoder." in name for name in chosen)


def test_bitfit_trains_all_biases_of_the_transformer(model) -> None:
    chosen = trainable_parameters(model, FreezeOptions(bitfit=True))
    expected = {
        name
        for name, _ in model.named_parameters()
        if name.endswith(".bias") and "embed_images" not in name
    }
    assert chosen == expected
    for name in (
        "encoder.layers.0.self_attn.q_proj.bias",
        "encoder.layers.0.ffn_layernorm.bias",
        "decoder.layers.1.cross_attn_ln.bias",
        "decoder.layer_norm.bias",
    ):
        assert name in chosen


def test_bitfit_with_adapters_trains_both(attached) -> None:
    chosen = trainable_parameters(attached, FreezeOptions(bitfit=True, attached_only=True))
    assert "encoder.layers.0.fc1.bias" in chosen
    assert "encoder.layers.0.adapter.up_proj.weight" in chosen
    assert "encoder.layers.0.fc1.weight" not in chosen


def test_freeze_switches_gradients_and_trunk_statistics_off(model) -> None:
    freeze(model, FreezeOptions(encoder=True))
    model.train()(torch.tensor([[0, 5, 2]]), None, torch.tensor([[0, 5]]),
                  patch_images=torch.randn(1, 3, 32, 32))[0].sum().backward()  # fmt: skip
    assert all(p.grad is None for p in model.encoder.parameters())
    assert model.encoder.embed_images.bn1.num_batches_tracked == 0
    assert model.decoder.layers[0].fc1.weight.grad is not None
