"""The layout of OFA's models for transformers: names of tensors, config.json, vocabulary files.

The `OFAModel` class of the authors' branch of transformers has this network under other names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from biomedgpt_fairseq.config import SIZES, ModelConfig
from biomedgpt_fairseq.models.checkpoint import DROPPED
from biomedgpt_fairseq.text.folder import (
    HF_MERGES_FILE,
    HF_VOCAB_FILE,
    VocabularyFiles,
    format_merges,
)
from biomedgpt_fairseq.text.vocab import Vocabulary

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "pytorch_model.bin"
SAFE_WEIGHTS_FILE = "model.safetensors"
ADDED_FILE = "added_tokens.json"

# Within a layer: name in fairseq's layout, name in this one.
LAYER_NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    "encoder": (
        ("attn_ln", "self_attn_mid_layer_norm"),
        ("ffn_layernorm", "ffn_layer_norm"),
    ),
    "decoder": (
        ("self_attn_ln", "self_attn_mid_layer_norm"),
        ("cross_attn_ln", "cross_attn_mid_layer_norm"),
        ("encoder_attn", "cross_attn"),
        ("encoder_attn_layer_norm", "cross_attn_layer_norm"),
        ("ffn_layernorm", "ffn_layer_norm"),
    ),
}
_LAYER = re.compile(r"(encoder|decoder)(\.layers\.\d+\.)(\w+)(\..*)")
_VERSION = re.compile(r"(encoder|decoder)\.version")
# The class has no place for these.
_FOREIGN = re.compile(r".*\.adapter\..*|.*_prompt_encoder\..*|classification_heads\..*|.*\.w_resid")

# Field of ModelConfig -> fields of config.json, all equal.
FIELDS: dict[str, tuple[str, ...]] = {
    "dim": ("d_model",),
    "ffn_dim": ("encoder_ffn_dim", "decoder_ffn_dim"),
    "heads": ("encoder_attention_heads", "decoder_attention_heads"),
    "encoder_layers": ("encoder_layers",),
    "decoder_layers": ("decoder_layers",),
    "resnet": ("resnet_type",),
    "vocab_size": ("vocab_size",),
    "max_source_positions": ("max_position_embeddings",),
    "max_target_positions": ("max_position_embeddings",),
    "token_bucket_size": ("token_bucket_size",),
    "image_bucket_size": ("image_bucket_size",),
    "code_image_size": ("code_image_size",),
    "attn_scale_factor": ("attn_scale_factor",),
    "scale_attn": ("normformer",),
    "scale_fc": ("normformer",),
    "scale_heads": ("normformer",),
    "entangle_encoder": ("entangle_position_embedding",),
    "entangle_decoder": ("entangle_position_embedding",),
    "activation": ("activation_function",),
    "dropout": ("dropout",),
    "attention_dropout": ("attention_dropout",),
    "activation_dropout": ("activation_dropout",),
    "encoder_drop_path": ("encoder_drop_path_rate",),
    "decoder_drop_path": ("decoder_drop_path_rate",),
    "resnet_drop_path": ("resnet_drop_path_rate",),
}
# Always so in this network.
FIXED: dict[str, object] = {
    "add_type_embedding": True,
    "code_layernorm_embedding": True,
    "decoder_normalize_before": True,
    "encoder_normalize_before": True,
    "layernorm_embedding": True,
    "patch_layernorm_embedding": True,
    "scale_embedding": False,
    "share_decoder_input_output_embed": True,
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
}
HEADER: dict[str, object] = {
    "architectures": ["OFAModel"],
    "model_type": "ofa",
    "is_encoder_decoder": True,
    "resnet_model_path": None,
}


def to_hugging_face(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the names of `OFAModel`.

    Integer tables that follow from the sizes are left out: the class makes them itself.
    Raises ValueError for weights that the class has no place for.
    """
    foreign = [name for name in state if _FOREIGN.fullmatch(name)]
    if foreign:
        raise ValueError(
            f"the Hugging Face layout has no place for {len(foreign)} weights of adapters, prompts "
            f"or heads, such as {foreign[0]}"
        )
    kept = [name for name in state if not _is_table(name) and not _VERSION.fullmatch(name)]
    return {_renamed(name, 0): state[name] for name in kept}


def from_hugging_face(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of `OFAModel` under the names of fairseq's layout, with its version numbers."""
    weights = {_renamed(name, 1): value for name, value in state.items() if not _is_table(name)}
    first = next((v for v in weights.values() if v.is_floating_point()), torch.zeros(0))
    version = torch.tensor([3.0], dtype=first.dtype)
    return {**{f"{stack}.version": version.clone() for stack in LAYER_NAMES}, **weights}


def _is_table(name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in DROPPED)


def _renamed(name: str, source: int) -> str:
    match = _LAYER.fullmatch(name)
    if not match:
        return name
    stack, layer, part, rest = match.groups()
    names = {pair[source]: pair[1 - source] for pair in LAYER_NAMES[stack]}
    return f"{stack}{layer}{names.get(part, part)}{rest}"


def config_json(config: ModelConfig) -> dict[str, Any]:
    """Content of config.json.  Raises ValueError for a network that its fields cannot describe."""
    content: dict[str, Any] = {**HEADER, **FIXED}
    for field, names in FIELDS.items():
        value = getattr(config, field)
        for name in names:
            if content.setdefault(name, value) != value:
                others = [other for other, fields in FIELDS.items() if name in fields]
                raise ValueError(
                    f"config.json has one field {name} for {', '.join(others)}, which must be "
                    f"equal, found {[getattr(config, other) for other in others]}"
                )
    if config.scale_resids:
        raise ValueError("the Hugging Face layout has no place for --scale-resids")
    return content


def config_from_json(content: Mapping[str, Any]) -> ModelConfig:
    """The network that config.json describes; fields that it lacks have the class's defaults.

    Raises ValueError for a network that is not built here.
    """
    for name, wanted in FIXED.items():
        if content.get(name, wanted) != wanted:
            raise ValueError(f"{name} = {content[name]!r} is not supported, only {wanted!r}")
    missing = [names for names in list(FIELDS.values())[:6] if not content.keys() & {*names}]
    if missing:
        raise ValueError(f"no field {' or '.join(missing[0])}")
    fields = {}
    for field, names in FIELDS.items():
        values = {name: content[name] for name in names if name in content}
        if len(set(map(str, values.values()))) > 1:
            raise ValueError(f"{' and '.join(names)} must be equal, found {values}")
        if values:
            fields[field] = next(iter(values.values()))
    return ModelConfig(**fields)


def size_name(config: ModelConfig) -> str:
    """Architecture of the sizes; `ofa_base` where they are of none, which are then spelt out."""
    sizes = ("dim", "ffn_dim", "heads", "encoder_layers", "decoder_layers", "resnet")
    for name, size in SIZES.items():
        if all(getattr(size, field) == getattr(config, field) for field in sizes):
            return f"ofa_{name}"
    return "ofa_base"


def write_vocabulary(files: VocabularyFiles, num_codes: int, num_bins: int, folder: Path) -> None:
    """vocab.json, merges.txt and added_tokens.json (codes and bins), for OFA's tokenizer."""
    vocab = Vocabulary(files.symbols, num_codes, num_bins)
    pieces = {str(index): piece for piece, index in files.encoder.items()}
    text = [pieces.get(symbol, symbol) for symbol in vocab.symbols[: vocab.first_code]]
    if len(set(text)) != len(text):
        raise ValueError("a piece of the vocabulary is called like one of its special symbols")
    ids = {token: i for i, token in enumerate(text)}
    added = {vocab[i]: i for i in range(vocab.first_code, len(vocab))}
    for name, content in ((HF_VOCAB_FILE, ids), (ADDED_FILE, added)):
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    (folder / HF_MERGES_FILE).write_text(format_merges(files.merges), encoding="utf-8")
