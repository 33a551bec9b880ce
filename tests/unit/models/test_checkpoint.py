import logging

import pytest
import torch

from biomedgpt_fairseq.adapters.attach import AdapterOptions, attach
from biomedgpt_fairseq.models.checkpoint import (
    converted,
    grow_positions,
    grow_vocabulary,
    load_trunk,
    load_weights,
)
from biomedgpt_fairseq.models.resnet import ResNet, Trunk


def test_integer_tables_of_released_files_are_not_needed() -> None:
    tables = ("token_rp_bucket", "image_rp_bucket", "image_position_idx")
    state = {f"decoder.{name}": torch.zeros(2, 2) for name in tables}
    assert converted(state) == {}


def test_old_layer_norm_names_become_released_ones() -> None:
    old = {f"encoder.layers.3.layer_norms.{i}.weight": torch.zeros(1) for i in range(2)}
    old |= {f"decoder.layers.10.layer_norms.{i}.bias": torch.zeros(1) for i in range(3)}
    assert list(converted(old)) == [
        "encoder.layers.3.self_attn_layer_norm.weight",
        "encoder.layers.3.final_layer_norm.weight",
        "decoder.layers.10.self_attn_layer_norm.bias",
        "decoder.layers.10.encoder_attn_layer_norm.bias",
        "decoder.layers.10.final_layer_norm.bias",
    ]


def test_fused_projections_are_split_in_thirds() -> None:
    prefix = "encoder.layers.0.self_attn."
    weight, bias = torch.arange(12).view(6, 2), torch.arange(6)
    state = converted({prefix + "in_proj_weight": weight, prefix + "in_proj_bias": bias})
    assert state[prefix + "q_proj.weight"].tolist() == [[0, 1], [2, 3]]
    assert state[prefix + "k_proj.weight"].tolist() == [[4, 5], [6, 7]]
    assert state[prefix + "v_proj.bias"].tolist() == [4, 5]
    assert len(state) == 6


def test_output_matrix_comes_from_the_token_table(config, build) -> None:
    source, target = build(config), build(config, dropout=0.1)
    state = source.state_dict()
    for name in ("decoder.output_projection.weight", "decoder.embed_tokens.weight"):
        del state[name]
    with torch.no_grad():
        target.encoder.embed_tokens.weight.zero_()
    load_weights(target, state)
    assert torch.equal(
        target.decoder.output_projection.weight, source.decoder.output_projection.weight
    )


def test_every_difference_is_listed(config, build) -> None:
    model = build(config)
    state = model.state_dict()
    del state["encoder.image_proj.bias"], state["decoder.layers.1.fc2.weight"]
    state["encoder.extra"] = torch.zeros(1)
    state["encoder.embed_positions.weight"] = torch.zeros(12, 16)
    with pytest.raises(ValueError) as caught:
        load_weights(model, state)
    text = str(caught.value)
    assert "2 missing" in text
    assert "encoder.image_proj.bias" in text and "decoder.layers.1.fc2.weight" in text
    assert "1 unexpected" in text and "encoder.extra" in text
    assert "encoder.embed_positions.weight (12, 16), (32, 16)" in text
    assert "--max-*-positions" in text


def test_failed_loading_changes_nothing(config, build) -> None:
    model = build(config)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = {k: v + 1 for k, v in before.items()} | {"encoder.extra": torch.zeros(1)}
    with pytest.raises(ValueError):
        load_weights(model, state)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_attached_modules_may_be_new(config, build, caplog) -> None:
    model, state = build(config), build(config).state_dict()
    attach(model, AdapterOptions(adapter_dim=3))
    with caplog.at_level(logging.INFO):
        load_weights(model, state)
    assert "encoder.layers.0.adapter.down_proj.weight" in caplog.text


def test_counters_of_frozen_norms_are_ignored(config, build) -> None:
    load_weights(build(config, trunk_norm="frozen"), build(config).state_dict())


def test_half_precision_weights_load(config, build) -> None:
    model = build(config)
    state = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    load_weights(model, state)
    assert model.encoder.image_proj.weight.dtype == torch.float32


def test_vocabulary_grows_at_its_end_when_asked(config, build, caplog) -> None:
    state = build(config).state_dict()
    with caplog.at_level(logging.INFO):
        grown = grow_vocabulary(state, 43, torch.Generator().manual_seed(0))
    table = grown["encoder.embed_tokens.weight"]
    assert table.shape == (43, 16)
    assert torch.equal(table[:40], state["encoder.embed_tokens.weight"])
    assert table[40:].std().item() == pytest.approx(16**-0.5, rel=0.3)
    assert "3 rows added to 40" in caplog.text
    load_weights(build(config, vocab_size=43), grown)
    with pytest.raises(ValueError, match="more than the 39"):
        grow_vocabulary(state, 39)


def test_positions_grow_when_asked(config, build) -> None:
    state = build(config).state_dict()
    grown = grow_positions(state, "encoder", 50)
    load_weights(build(config, max_source_positions=50), grown)
    with pytest.raises(ValueError, match="30 encoder positions, more than the 20"):
        grow_positions(state, "encoder", 20)


def test_trunk_starts_from_a_torchvision_file(tmp_path) -> None:
    trunk = Trunk((2, 1, 1), (4, 4, 8), 4)
    source, target = ResNet(trunk), ResNet(trunk)
    for parameter in source.parameters():
        torch.nn.init.normal_(parameter)
    state = source.state_dict()
    unused = {"layer4.0.conv1.weight": torch.zeros(2), "fc.weight": torch.zeros(3, 3)}
    torch.save(state | unused, tmp_path / "resnet.pth")
    load_trunk(target, str(tmp_path / "resnet.pth"))
    assert all(torch.equal(v, state[k]) for k, v in target.state_dict().items())
    assert {"conv1.weight", "layer1.0.downsample.0.weight", "layer1.1.bn3.running_var"} <= set(
        state
    )
    del state["layer2.0.conv2.weight"]
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="other.pth"):
        load_trunk(target, str(tmp_path / "other.pth"))
