from dataclasses import replace

import pytest
import torch

from biomedgpt_fairseq.config import SIZES
from biomedgpt_fairseq.models.saved_config import config_from_options, config_from_weights
from biomedgpt_fairseq.models.transformer import build_transformer

RELEASED = {
    "arch": "ofa_medium",
    "scale_attn": True,
    "scale_fc": True,
    "scale_heads": True,
    "scale_resids": False,
    "disable_entangle": True,
    "encoder_drop_path_rate": 0.1,
    "lr": [5e-5],
}


def test_flat_options_of_a_released_file() -> None:
    config = config_from_options(RELEASED, 59457)
    assert config == replace(SIZES["medium"], encoder_drop_path=0.1)


def test_given_sizes_win_over_the_architecture() -> None:
    options = RELEASED | {"encoder_embed_dim": 64, "resnet_type": "resnet50", "sync_bn": True}
    config = config_from_options(options, 100)
    assert (config.dim, config.ffn_dim, config.resnet) == (64, 2048, "resnet50")
    assert (config.trunk_norm, config.vocab_size) == ("sync", 100)


def test_recipes_without_scale_flags_build_without_them() -> None:
    config = config_from_options({"_name": "ofa_tiny", "scale_attn": False}, 10)
    assert not config.scale_attn


def test_freeze_resnet_yields_to_synchronised_norm() -> None:
    assert config_from_options({"freeze_resnet": True}, 10).trunk_norm == "frozen"
    both = config_from_options({"freeze_resnet": True, "sync_bn": True}, 10)
    assert both.trunk_norm == "sync"


def test_entangled_decoder_is_what_a_false_flag_means() -> None:
    assert config_from_options({"disable_entangle": False}, 10).entangle_decoder
    assert not config_from_options({"disable_entangle": True}, 10).entangle_decoder


def test_widths_that_differ_raise() -> None:
    with pytest.raises(ValueError, match="must be equal"):
        config_from_options({"encoder_embed_dim": 8, "decoder_embed_dim": 16}, 10)


def test_unsupported_structure_raises() -> None:
    with pytest.raises(ValueError, match="adaptive_input"):
        config_from_options({"adaptive_input": True}, 10)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scale_attn": False, "scale_resids": True},
        {"scale_fc": False, "scale_heads": False, "trunk_norm": "frozen"},
        {"encoder_layers": 11, "token_bucket_size": 64, "image_bucket_size": 10},
    ],
)
def test_weights_imply_the_config_they_were_made_with(config, changes) -> None:
    config = replace(config, **changes)
    assert config_from_weights(build_transformer(config).state_dict()) == config


@pytest.mark.parametrize("size", SIZES)
def test_weights_imply_every_size(size: str) -> None:
    with torch.device("meta"):
        weights = build_transformer(SIZES[size]).state_dict()
    assert config_from_weights(weights) == SIZES[size]


def test_foreign_weights_raise() -> None:
    with pytest.raises(ValueError, match=r"no 'encoder.embed_tokens.weight'"):
        config_from_weights({"model.weight": torch.zeros(1)})
