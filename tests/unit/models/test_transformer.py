from dataclasses import replace

import pytest
import torch

from biomedgpt_fairseq.config import SIZES, ModelConfig
from biomedgpt_fairseq.models.transformer import (
    UnifiedTransformer,
    build_transformer,
    compile_layers,
)


def count(model: UnifiedTransformer) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("size", "parameters"),
    [
        ("tiny", 33_488_336),
        ("medium", 92_892_000),
        ("base", 182_238_536),
        ("large", 472_977_152),
        ("huge", 929_486_848),
    ],
)
def test_sizes_have_the_known_number_of_parameters(size: str, parameters: int) -> None:
    with torch.device("meta"):
        assert count(build_transformer(SIZES[size])) == parameters


def test_micro_stays_below_two_million_parameters_with_a_compact_vocabulary() -> None:
    with torch.device("meta"):
        assert count(build_transformer(replace(SIZES["micro"], vocab_size=12_000))) < 2_000_000


def test_token_table_is_shared_three_times(config: ModelConfig) -> None:
    model = build_transformer(config)
    table = model.encoder.embed_tokens.weight
    assert model.decoder.embed_tokens.weight is table
    assert model.decoder.output_projection.weight is table


def test_initial_weights_are_those_of_bert(config: ModelConfig) -> None:
    torch.manual_seed(0)
    model = build_transformer(config)
    table = model.encoder.embed_tokens.weight
    assert not table[1].any()
    for weight in (
        table[2:],
        model.encoder.image_rel_pos_table_list[0].weight,
        model.decoder.layers[1].encoder_attn.q_proj.weight,
    ):
        assert weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not model.encoder.pos_q_linear.bias.any()
    assert model.decoder.layers[0].self_attn.c_attn.tolist() == [1.0, 1.0]
    conv = model.encoder.embed_images.layer3[0].conv2.weight
    assert conv.std().item() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.1)


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("scale_attn", {"attn_ln", "self_attn_ln", "cross_attn_ln"}),
        ("scale_fc", {"ffn_layernorm"}),
        ("scale_heads", {"c_attn"}),
        ("scale_resids", {"w_resid"}),
    ],
)
def test_scale_options_add_and_remove_their_parameters(config, option, names) -> None:
    def last_parts(on: bool) -> set[str]:
        keys = build_transformer(replace(config, **{option: on})).state_dict()
        return {part for key in keys for part in key.split(".")[-2:]}

    assert names <= last_parts(True)
    assert not names & last_parts(False)


def test_drop_path_and_residual_factor_take_part_in_training(config, build) -> None:
    text = torch.tensor([[0, 5, 2]])
    model = build(
        config, scale_resids=True, encoder_drop_path=0.5, decoder_drop_path=0.5, activation="relu"
    )
    outputs = {round(model.train()(text, None, text)[0].sum().item(), 3) for _ in range(20)}
    assert len(outputs) > 1
    model(text, None, text)[0].sum().backward()
    assert model.encoder.layers[0].w_resid.grad.any()


def test_missing_decoder_input_raises(config, build) -> None:
    with pytest.raises(ValueError, match="prev_output_tokens"):
        build(config)(torch.tensor([[0, 2]]))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        ModelConfig(10, 20, 3, 1, 1)


def test_compiled_layers_have_the_same_names_and_numbers(config, build) -> None:
    model = build(config, encoder_layers=1, decoder_layers=1)
    names = list(model.state_dict())
    source, target = torch.arange(4, 12).view(2, 4), torch.arange(10, 16).view(2, 3)
    expected = model(source, prev_output_tokens=target)[0]
    # Code is traced but not generated, which takes minutes.
    compile_layers(model, backend="eager")
    assert list(model.state_dict()) == names
    torch.testing.assert_close(model(source, prev_output_tokens=target)[0], expected)
