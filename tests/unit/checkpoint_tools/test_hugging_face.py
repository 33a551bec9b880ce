"""Names, sizes and vocabulary files of the layout for transformers."""

import json
from dataclasses import replace

import pytest
import torch

from biomedgpt_fairseq.checkpoint_tools import hugging_face
from biomedgpt_fairseq.checkpoint_tools.hugging_face import (
    config_from_json,
    config_json,
    from_hugging_face,
    to_hugging_face,
    write_vocabulary,
)
from biomedgpt_fairseq.checkpoint_tools.plain import equal
from biomedgpt_fairseq.config import SIZES
from biomedgpt_fairseq.models.transformer import build_transformer
from biomedgpt_fairseq.text.compact import train_compact_vocabulary
from biomedgpt_fairseq.text.folder import read_vocabulary_folder
from biomedgpt_fairseq.text.vocab import Vocabulary

# The names of one layer each, as the public class has them.
NAMES = {
    "encoder.embed_tokens.weight": "encoder.embed_tokens.weight",
    "encoder.embed_images.layer1.0.bn1.running_mean": (
        "encoder.embed_images.layer1.0.bn1.running_mean"
    ),
    "encoder.layers.0.self_attn.c_attn": "encoder.layers.0.self_attn.c_attn",
    "encoder.layers.0.self_attn_layer_norm.bias": "encoder.layers.0.self_attn_layer_norm.bias",
    "encoder.layers.0.attn_ln.weight": "encoder.layers.0.self_attn_mid_layer_norm.weight",
    "encoder.layers.0.ffn_layernorm.bias": "encoder.layers.0.ffn_layer_norm.bias",
    "decoder.layers.1.self_attn_ln.weight": "decoder.layers.1.self_attn_mid_layer_norm.weight",
    "decoder.layers.1.cross_attn_ln.weight": "decoder.layers.1.cross_attn_mid_layer_norm.weight",
    "decoder.layers.1.encoder_attn.q_proj.bias": "decoder.layers.1.cross_attn.q_proj.bias",
    "decoder.layers.1.encoder_attn.c_attn": "decoder.layers.1.cross_attn.c_attn",
    "decoder.layers.1.encoder_attn_layer_norm.weight": (
        "decoder.layers.1.cross_attn_layer_norm.weight"
    ),
    "decoder.layers.1.ffn_layernorm.weight": "decoder.layers.1.ffn_layer_norm.weight",
    "decoder.output_projection.weight": "decoder.output_projection.weight",
}


@pytest.fixture(scope="module")
def micro():
    torch.manual_seed(0)
    config = replace(SIZES["micro"], vocab_size=50, max_source_positions=32,
                     max_target_positions=32, image_bucket_size=4)  # fmt: skip
    return build_transformer(config)


def test_names_are_those_of_the_public_class(micro):
    state = micro.state_dict()
    assert set(NAMES) <= set(state)
    out = to_hugging_face(state)
    for name, wanted in NAMES.items():
        assert out[wanted] is state[name] or torch.equal(out[wanted], state[name])
    assert len(out) == len(state) - 2  # the version numbers


def test_weights_come_back_bit_for_bit(micro):
    state = dict(micro.state_dict())
    assert equal(from_hugging_face(to_hugging_face(state)), state)


def test_half_precision_comes_back(micro):
    half = {k: v.half() if v.is_floating_point() else v for k, v in micro.state_dict().items()}
    assert equal(from_hugging_face(to_hugging_face(half)), half)


def test_tables_that_follow_from_sizes_are_left_out_both_ways(micro):
    state = dict(micro.state_dict())
    with_tables = {**state, "encoder.token_rp_bucket": torch.zeros(3, 3, dtype=torch.int64)}
    assert "encoder.token_rp_bucket" not in to_hugging_face(with_tables)
    named = {**to_hugging_face(state), "decoder.image_position_idx": torch.zeros(9)}
    assert equal(from_hugging_face(named), state)


@pytest.mark.parametrize(
    "name", ["encoder.layers.0.adapter.up.weight", "classification_heads.x.out_proj.weight"]
)
def test_weights_without_a_place_are_refused(micro, name):
    with pytest.raises(ValueError, match=f"no place for 1 weights.*{name}"):
        to_hugging_face({**micro.state_dict(), name: torch.zeros(1)})


@pytest.mark.parametrize("size", SIZES)
def test_sizes_come_back(size):
    config = SIZES[size]
    content = json.loads(json.dumps(config_json(config)))
    assert config_from_json(content) == config
    assert hugging_face.size_name(config) == f"ofa_{size}"
    assert content["model_type"] == "ofa" and content["normformer"] is True


def test_sizes_of_no_architecture_are_spelt_out():
    assert hugging_face.size_name(replace(SIZES["tiny"], encoder_layers=3)) == "ofa_base"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale_heads": False}, "normformer for scale_attn, scale_fc, scale_heads"),
        ({"max_target_positions": 512}, "max_position_embeddings"),
        ({"entangle_decoder": True}, "entangle_position_embedding"),
        ({"scale_resids": True}, "--scale-resids"),
    ],
)
def test_network_that_the_fields_cannot_describe_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config_json(replace(SIZES["tiny"], **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layernorm_embedding": False}, "layernorm_embedding = False is not supported"),
        ({"decoder_ffn_dim": 7}, "encoder_ffn_dim and decoder_ffn_dim must be equal"),
        ({"d_model": None}, "no field d_model"),
    ],
)
def test_config_of_another_network_is_refused(changes, message):
    content = {**config_json(SIZES["tiny"]), **changes}
    content = {name: value for name, value in content.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        config_from_json(content)


def test_vocabulary_files_number_the_tokens_as_the_weights_do(tmp_path):
    train_compact_vocabulary(["is there a mass in the left lung?"], 300, tmp_path / "own")
    files = read_vocabulary_folder(tmp_path / "own")
    write_vocabulary(files, 4, 3, tmp_path)
    ids = json.loads((tmp_path / "vocab.json").read_text("utf-8"))
    added = json.loads((tmp_path / "added_tokens.json").read_text("utf-8"))
    vocab = Vocabulary(files.symbols, 4, 3)
    assert sorted([*ids.values(), *added.values()]) == list(range(len(vocab)))
    assert [ids[token] for token in ("<s>", "<pad>", "</s>", "<unk>")] == [0, 1, 2, 3]
    assert ids["<mask>"] == vocab.mask
    assert added["<code_0>"] == vocab.first_code and added["<bin_2>"] == vocab.first_bin + 2
    piece = next(p for p, i in files.encoder.items() if str(i) == vocab[4])
    assert ids[piece] == 4
    merges = (tmp_path / "merges.txt").read_text("utf-8").splitlines()
    assert merges[0] == "#version: 0.2" and len(merges) == 1 + len(files.merges)
