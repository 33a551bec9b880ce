"""Sizes of the image tokenizer and the JSON file that keeps them beside the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from biomedgpt_fairseq.data.tsv_writer import write_json

Quantizer = Literal["gumbel", "plain"]
CONFIG_SUFFIX = ".json"
MAX_SIZE, MAX_DEPTH = 1 << 16, 100
"""What no tokenizer has is refused before it is built."""


@dataclass(frozen=True)
class TokenizerConfig:
    """Everything the network is built from; the defaults are the published 8192 codes at f = 8.

    Raises ValueError for sizes that no network can have.
    """

    quantizer: Quantizer = "gumbel"
    """gumbel: a layer scores the codes; plain: the nearest row of the codebook wins."""
    num_codes: int = 8192
    code_dim: int = 256
    latent_channels: int = 256
    width: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 4)
    """Channels of each level, as multiples of `width`; each level but the last halves the sides."""
    blocks: int = 2
    """Residual blocks of each encoder level; the decoder has one more."""
    attention_levels: tuple[int, ...] = (3,)
    groups: int = 32
    """Of the group norms; divides the channels of every level."""

    def __post_init__(self) -> None:
        if self.quantizer not in get_args(Quantizer):
            raise ValueError(f"expected quantizer gumbel or plain, found {self.quantizer!r}")
        numbers = ("num_codes", "code_dim", "latent_channels", "width", "blocks", "groups")
        for name in numbers:
            value = getattr(self, name)
            if type(value) is not int or not 0 < value <= MAX_SIZE:
                raise ValueError(f"{name} must be from 1 to {MAX_SIZE}, found {value!r:.40}")
        if not self.multipliers or min(self.multipliers) < 1:
            raise ValueError(f"multipliers must be positive, found {self.multipliers}")
        if self.blocks > MAX_DEPTH or len(self.multipliers) > MAX_DEPTH:
            raise ValueError(f"blocks and levels must be at most {MAX_DEPTH}")
        if max(self.channels) > MAX_SIZE:
            raise ValueError(f"channels must be at most {MAX_SIZE}, found {max(self.channels)}")
        odd = [channels for channels in self.channels if channels % self.groups]
        if odd:
            raise ValueError(
                f"{odd[0]} channels cannot be split into {self.groups} groups: width x multipliers "
                "must be multiples of groups"
            )

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each level, finest first."""
        return tuple(self.width * multiplier for multiplier in self.multipliers)

    @property
    def factor(self) -> int:
        """Pixels per code along each side."""
        return 1 << (len(self.multipliers) - 1)


def config_path(weights: Path) -> Path:
    """Where the sizes of a weights file are kept."""
    return weights.with_suffix(CONFIG_SUFFIX)


def write_config(path: Path, config: TokenizerConfig, notes: Mapping[str, object]) -> None:
    """Write the sizes, with notes on how the weights came about, which nothing reads."""
    write_json(path, {**asdict(config), "notes": dict(notes)})


def read_config(path: Path) -> TokenizerConfig:
    """Sizes of a file of `write_config`.  Raises ValueError naming what is wrong with it."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a JSON file ({error})") from None
    names = {field.name for field in fields(TokenizerConfig)}
    if not isinstance(values, dict) or values.keys() - {"notes"} != names:
        raise ValueError(
            f"{path}: expected the sizes of an image tokenizer, the keys {sorted(names)}, "
            f"found {sorted(values) if isinstance(values, dict) else type(values).__name__}"
        )
    values.pop("notes", None)
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    try:
        return TokenizerConfig(**{**values, **lists})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
