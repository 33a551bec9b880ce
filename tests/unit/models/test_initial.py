"""Sizes of random initial weights."""

from dataclasses import replace

import pytest
import torch

from biomedgpt_fairseq.config import SIZES, ModelConfig
from biomedgpt_fairseq.models.saved_config import config_from_options
from biomedgpt_fairseq.models.transformer import build_transformer

MICRO = replace(SIZES["micro"], vocab_size=300)


def stds(config: ModelConfig) -> dict[str, float]:
    torch.manual_seed(0)
    state = build_transformer(config).state_dict()
    names = {
        "tokens": "encoder.embed_tokens.weight",
        "positions": "decoder.embed_positions.weight",
        "query": "encoder.layers.0.self_attn.q_proj.weight",
        "widening": "decoder.layers.1.fc1.weight",
        "bias table": "encoder.token_rel_pos_table_list.0.weight",
    }
    return {name: float(state[key].std()) for name, key in names.items()}


def test_released_sizes_start_as_bert_does():
    assert all(size.init == "bert" for name, size in SIZES.items() if name != "micro")


def test_micro_starts_by_width():
    found = stds(MICRO)
    assert found["tokens"] == pytest.approx(1 / 8, rel=0.05)
    assert found["positions"] == pytest.approx(1 / 8, rel=0.05)
    assert found["query"] == pytest.approx(1 / 8, rel=0.05)
    assert found["widening"] == pytest.approx((2 / 320) ** 0.5, rel=0.05)
    assert found["bias table"] == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("init", ["width", "mimetic"])
def test_keys_of_the_encoder_are_like_queries_on_request(init):
    network = build_transformer(replace(MICRO, init=init))
    attentions = [layer.self_attn for layer in network.encoder.layers]
    others = [layer.encoder_attn for layer in network.decoder.layers]
    equal = [torch.equal(a.k_proj.weight, a.q_proj.weight) for a in (*attentions, *others)]
    assert equal == [init == "mimetic"] * len(attentions) + [False] * len(others)
    torch.testing.assert_close(
        attentions[0].q_proj.weight.std(), torch.tensor(1 / 8), rtol=0.05, atol=0
    )


def test_padding_and_linear_biases_are_zero():
    network = build_transformer(MICRO)
    assert not network.encoder.embed_tokens.weight[MICRO.pad].any()
    assert not network.encoder.layers[0].fc1.bias.any()


def test_option_overrides_the_size():
    assert config_from_options({"arch": "ofa_micro"}, 300).init == "width"
    assert config_from_options({"arch": "ofa_micro", "init_weights": "bert"}, 300).init == "bert"
    assert config_from_options({"arch": "ofa_base", "init_weights": "width"}, 300).init == "width"
