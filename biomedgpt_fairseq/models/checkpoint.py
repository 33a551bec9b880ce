"""Released state dict -> state dict of this network, by a table of rules; strict loading."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)

State = dict[str, Tensor]

RENAMES: tuple[tuple[str, str], ...] = (
    (r"(encoder\.layers\.\d+)\.layer_norms\.0\.", r"\1.self_attn_layer_norm."),
    (r"(encoder\.layers\.\d+)\.layer_norms\.1\.", r"\1.final_layer_norm."),
    (r"(decoder\.layers\.\d+)\.layer_norms\.0\.", r"\1.self_attn_layer_norm."),
    (r"(decoder\.layers\.\d+)\.layer_norms\.1\.", r"\1.encoder_attn_layer_norm."),
    (r"(decoder\.layers\.\d+)\.layer_norms\.2\.", r"\1.final_layer_norm."),
)
"""Names of old files -> names of released ones."""

DROPPED: tuple[str, ...] = (
    r"(encoder|decoder)\.(token|image)_rp_bucket",
    r"decoder\.image_position_idx",
)
"""Integer tables that follow from sizes and are made anew."""

FRESH: tuple[str, ...] = (
    r"(encoder|decoder)\.version",
    r".*\.num_batches_tracked",
    r".*\.adapter\..*",
    r".*_prompt_encoder\..*",
    r"classification_heads\..*",
)
"""What a file need not have: then the network's own values stay, as when a pre-trained file gets
adapters."""

FUSED = re.compile(r"(.*\.)in_proj_(weight|bias)")
TOKEN_TABLES = (
    "encoder.embed_tokens.weight",
    "decoder.embed_tokens.weight",
    "decoder.output_projection.weight",
)
"""Names of one tensor: the first that a file has serves for those it lacks."""

MAX_LISTED = 20


@dataclass(frozen=True)
class Differences:
    """Where a state dict does not fit a network."""

    missing: list[str]
    unexpected: list[str]
    reshaped: list[str]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.reshaped)

    def report(self) -> str:
        """What differs and what to do about it."""
        parts = (
            (self.missing, "missing; the file is of another structure: check --arch, the scale, "
             "adapter and prompt options"),
            (self.unexpected, "unexpected; the network was built without them: check --arch, the "
             "scale, adapter and prompt options"),
            (self.reshaped, "of another shape (file, network); check --arch, --max-*-positions "
             "and the vocabulary, or ask for --grow-vocabulary / --grow-positions"),
        )  # fmt: skip
        return "the weights do not fit the network:" + "".join(
            f"\n{len(names)} {text}:\n  " + "\n  ".join(_shortened(names))
            for names, text in parts
            if names
        )


def _shortened(names: list[str]) -> list[str]:
    rest = len(names) - MAX_LISTED
    return names[:MAX_LISTED] + ([f"... and {rest} more"] if rest > 0 else [])


def converted(state: Mapping[str, Tensor]) -> State:
    """Today's names for a released or older state dict; the input stays as it is."""
    result: State = {}
    for name, value in state.items():
        if any(re.fullmatch(pattern, name) for pattern in DROPPED):
            continue
        for pattern, replacement in RENAMES:
            name = re.sub(pattern, replacement, name)
        match = FUSED.fullmatch(name)
        if match:
            for part, third in zip("qkv", value.chunk(3), strict=True):
                result[f"{match[1]}{part}_proj.{match[2]}"] = third
        else:
            result[name] = value
    tables = [result[name] for name in TOKEN_TABLES if name in result]
    if tables:
        result |= {name: tables[0] for name in TOKEN_TABLES if name not in result}
    return result


def fitted(model: nn.Module, state: Mapping[str, Tensor]) -> State:
    """`converted`, without counters of a batch norm that the network has frozen, and with the
    network's own values for what a file need not have."""
    own = model.state_dict()
    weights = {
        name: value
        for name, value in converted(state).items()
        if name in own or not name.endswith("num_batches_tracked")
    }
    fresh = {
        name: value
        for name, value in own.items()
        if name not in weights and any(re.fullmatch(pattern, name) for pattern in FRESH)
    }
    new = [name for name in fresh if not name.endswith(("version", "num_batches_tracked"))]
    if new:
        logger.info("not in the file, kept at initial values: %s", ", ".join(_shortened(new)))
    return weights | fresh


def differences(model: nn.Module, state: Mapping[str, Tensor]) -> Differences:
    """Keys of a converted state dict that do not fit."""
    own = model.state_dict()
    return Differences(
        missing=[name for name in own if name not in state],
        unexpected=[name for name in state if name not in own],
        reshaped=[
            f"{name} {tuple(state[name].shape)}, {tuple(value.shape)}"
            for name, value in own.items()
            if name in state and state[name].shape != value.shape
        ],
    )


def load_weights(model: nn.Module, state: Mapping[str, Tensor]) -> Any:
    """Copy a released or own state dict into the network; returns what torch's loading does.

    Raises ValueError that lists every missing, unexpected and re-shaped key.
    """
    weights = fitted(model, state)
    found = differences(model, weights)
    if found:
        raise ValueError(found.report())
    return nn.Module.load_state_dict(model, weights, strict=True)


def grow_vocabulary(
    state: Mapping[str, Tensor], size: int, generator: torch.Generator | None = None
) -> State:
    """Append rows N(0, dim ** -0.5) to the token tables, up to `size`, for new last symbols.

    Symbols before the end keep their rows, so the new vocabulary must begin with the old one.
    Raises ValueError if the file has more rows.
    """
    result = converted(state)
    table = result[TOKEN_TABLES[0]]
    known = table.size(0)
    if known > size:
        raise ValueError(f"the file has {known} symbols, more than the {size} asked for")
    grown = _grown(table, size, generator)
    logger.info("vocabulary: %d rows added to %d", size - known, known)
    return result | dict.fromkeys(TOKEN_TABLES, grown)


def grow_positions(
    state: Mapping[str, Tensor], stack: str, size: int, generator: torch.Generator | None = None
) -> State:
    """Append position vectors N(0, dim ** -0.5), so that `stack` ("encoder" or "decoder") takes
    `size` positions.  Raises ValueError if the file has more."""
    result = converted(state)
    name = f"{stack}.embed_positions.weight"
    known = result[name].size(0) - 2
    if known > size:
        raise ValueError(f"the file has {known} {stack} positions, more than the {size} asked for")
    logger.info("%s: %d positions added to %d", stack, size - known, known)
    return result | {name: _grown(result[name], size + 2, generator)}


def _grown(table: Tensor, rows: int, generator: torch.Generator | None) -> Tensor:
    added = torch.randn(rows - table.size(0), table.size(1), generator=generator)
    return torch.cat([table, (added * table.size(1) ** -0.5).to(table)])


def load_trunk(trunk: nn.Module, path: str) -> None:
    """Copy torchvision ResNet weights of a file into the image trunk.

    The last stage and the classifier of the file are not used.  Raises ValueError on a mismatch.
    """
    state: State = torch.load(path, map_location="cpu", weights_only=True)
    unused = re.compile(r"layer4\.|fc\.")
    weights = fitted(trunk, {name: v for name, v in state.items() if not unused.match(name)})
    found = differences(trunk, weights)
    if found:
        raise ValueError(f"{path}: {found.report()}")
    nn.Module.load_state_dict(trunk, weights)
    logger.info("image trunk: weights of %s", path)
