"""Options of the original, by name -> ModelConfig; and the config that weights alone imply."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from biomedgpt_fairseq.config import SIZES, ModelConfig
from biomedgpt_fairseq.models.resnet import TRUNKS

Options = Mapping[str, Any]

SIZE_OPTIONS: dict[str, tuple[str, ...]] = {
    "dim": ("encoder_embed_dim", "decoder_embed_dim"),
    "ffn_dim": ("encoder_ffn_embed_dim", "decoder_ffn_embed_dim"),
    "heads": ("encoder_attention_heads", "decoder_attention_heads"),
    "encoder_layers": ("encoder_layers",),
    "decoder_layers": ("decoder_layers",),
    "resnet": ("resnet_type",),
}
"""Field -> options that give it, which must agree; unset: the size of the architecture."""

FIELD_OPTIONS: dict[str, str] = {
    "max_source_positions": "max_source_positions",
    "max_target_positions": "max_target_positions",
    "token_bucket_size": "token_bucket_size",
    "image_bucket_size": "image_bucket_size",
    "code_image_size": "code_image_size",
    "orig_patch_image_size": "orig_patch_image_size",
    "interpolate_position": "interpolate_position",
    "attn_scale_factor": "attn_scale_factor",
    "scale_attn": "scale_attn",
    "scale_fc": "scale_fc",
    "scale_heads": "scale_heads",
    "scale_resids": "scale_resids",
    "entangle_encoder": "entangle_position_embedding",
    "activation": "activation_fn",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "encoder_drop_path": "encoder_drop_path_rate",
    "decoder_drop_path": "decoder_drop_path_rate",
    "resnet_drop_path": "resnet_drop_path_rate",
    "checkpoint_activations": "checkpoint_activations",
    "init": "init_weights",
}
"""Field -> option; unset: the field's default."""

UNSUPPORTED = (
    "adaptive_input",
    "adaptive_softmax_cutoff",
    "cross_self_attention",
    "decoder_layerdrop",
    "encoder_layerdrop",
    "no_cross_attention",
    "no_token_positional_embeddings",
    "offload_activations",
    "quant_noise_pq",
    "use_encoder_classification_head",
)
"""Options of the original that change the network in ways that are not built here."""

DEFAULT_SIZE = "base"


def config_from_options(options: Options, vocab_size: int, pad: int = 1) -> ModelConfig:
    """The network that flat options of the original describe.

    A size that is not given comes from the architecture (`arch`, or `_name`).
    Raises ValueError for options that contradict each other or are not supported.
    """
    for name in UNSUPPORTED:
        if options.get(name):
            raise ValueError(f"{name} = {options[name]!r} is not supported")
    fields = {"vocab_size": vocab_size, "pad": pad, **_given_sizes(options)}
    fields |= {
        field: options[name]
        for field, name in FIELD_OPTIONS.items()
        if options.get(name) is not None
    }
    if options.get("disable_entangle") is not None:
        fields["entangle_decoder"] = not options["disable_entangle"]
    if options.get("sync_bn"):
        fields["trunk_norm"] = "sync"
    elif options.get("freeze_resnet"):
        fields["trunk_norm"] = "frozen"
    return replace(size_of(options), **fields)


def _given_sizes(options: Options) -> dict[str, Any]:
    fields = {}
    for field, names in SIZE_OPTIONS.items():
        values = {n: options[n] for n in names if options.get(n) is not None}
        if len(set(values.values())) > 1:
            raise ValueError(f"{' and '.join(names)} must be equal, found {values}")
        if values:
            fields[field] = next(iter(values.values()))
    return fields


def size_of(options: Options) -> ModelConfig:
    """Row of SIZES that the architecture's name points to."""
    for name in (options.get("arch"), options.get("_name")):
        size = str(name or "").removeprefix("ofa_")
        if size in SIZES:
            return SIZES[size]
    return SIZES[DEFAULT_SIZE]


def config_from_weights(weights: Mapping[str, Tensor]) -> ModelConfig:
    """The network that a state dict of the original fits into.

    What weights do not tell (dropout, drop path) has its default; position vectors are taken as
    not entangled, as in all released files.  Raises ValueError if it is no such state dict.
    """
    try:
        vocab_size, dim = weights["encoder.embed_tokens.weight"].shape
        token_rows, heads = weights["encoder.token_rel_pos_table_list.0.weight"].shape
        image_positions = weights["encoder.embed_image_positions.weight"].size(0)
        config = ModelConfig(
            dim=dim,
            ffn_dim=weights["encoder.layers.0.fc1.weight"].size(0),
            heads=heads,
            encoder_layers=_count(weights, r"encoder\.layers\.(\d+)\."),
            decoder_layers=_count(weights, r"decoder\.layers\.(\d+)\."),
            resnet=_trunk_name(weights),
            vocab_size=vocab_size,
            max_source_positions=weights["encoder.embed_positions.weight"].size(0) - 2,
            max_target_positions=weights["decoder.embed_positions.weight"].size(0) - 2,
            token_bucket_size=(token_rows + 1) // 2,
            image_bucket_size=math.isqrt(image_positions - 1),
        )
    except KeyError as error:
        raise ValueError(f"the state dict has no {error}; it is not of this network") from error
    return replace(
        config,
        scale_attn="encoder.layers.0.attn_ln.weight" in weights,
        scale_fc="encoder.layers.0.ffn_layernorm.weight" in weights,
        scale_heads="encoder.layers.0.self_attn.c_attn" in weights,
        scale_resids="encoder.layers.0.w_resid" in weights,
        trunk_norm=(
            "batch" if "encoder.embed_images.bn1.num_batches_tracked" in weights else "frozen"
        ),
    )


def _count(weights: Mapping[str, Tensor], pattern: str) -> int:
    found = (re.match(pattern, name) for name in weights)
    return len({match[1] for match in found if match})


def _trunk_name(weights: Mapping[str, Tensor]) -> str:
    blocks = tuple(
        _count(weights, rf"encoder\.embed_images\.layer{stage}\.(\d+)\.") for stage in (1, 2, 3)
    )
    channels = weights["encoder.image_proj.weight"].size(1)
    for name, trunk in TRUNKS.items():
        if trunk.blocks == blocks and trunk.out_channels == channels:
            return name
    raise ValueError(f"no image trunk has {blocks} blocks and {channels} channels")
