"""Weights of the image tokenizer: files to network and back, strictly and without running code."""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from biomedgpt_fairseq.image_tokenizer.config import (
    TokenizerConfig,
    config_path,
    read_config,
    write_config,
)
from biomedgpt_fairseq.image_tokenizer.network import VqNetwork

logger = logging.getLogger(__name__)

UNUSED = ("loss.",)
"""Prefixes of what only the training of published files needed: perceptual loss, discriminator."""

_WRAPPER = "state_dict"
_TRAINER = "pytorch_lightning.callbacks."
_GUMBEL_KEY = "quantize.proj.weight"
# What torch's reader raises over bytes that torch.save did not write.
_DAMAGED = (
    *(AttributeError, EOFError, LookupError, RuntimeError, TypeError, ValueError),
    *(ArithmeticError, AssertionError, MemoryError, struct.error),
)


def read_network(path: Path) -> VqNetwork:
    """The network of a weights file, in float32.

    Its sizes are those of the JSON file beside it, else the published ones.  Raises
    FileNotFoundError, or ValueError for a damaged file or one whose keys or shapes do not fit.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected weights of an image tokenizer")
    state = _read_state(path)
    beside = config_path(path)
    if beside.is_file():
        config = read_config(beside)
    else:
        config = TokenizerConfig("gumbel" if _GUMBEL_KEY in state else "plain")
    # Without values until the file's are assigned: nothing is drawn only to be overwritten.
    with torch.device("meta"):
        network = VqNetwork(config)
    try:
        network.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        # torch lists every missing, unexpected and reshaped key.
        raise ValueError(
            f"{path}: not an image tokenizer of {config.num_codes} codes: {error}"
        ) from None
    return network.float().requires_grad_(False)


def save_network(path: Path, network: VqNetwork, notes: Mapping[str, object]) -> None:
    """Write PATH.safetensors in half precision and its sizes, with notes, as JSON beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(safetensors.torch.save(state))
    write_config(config_path(path), network.config, notes)
    os.replace(partial, path)


def _read_state(path: Path) -> dict[str, Tensor]:
    content: object
    try:
        if path.suffix == ".safetensors":
            content = safetensors.torch.load_file(path)
        else:
            with _callbacks_ignored(path):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise ValueError(
            f"{path}: the file holds more than weights and was not read ({_first_line(error)}); "
            "it needs to be saved again with its entry 'state_dict' alone"
        ) from None
    except (*_DAMAGED, OSError, SafetensorError) as error:
        raise ValueError(
            f"{path}: not a complete weights file ({_first_line(error)}); was it cut off?"
        ) from None
    if isinstance(content, Mapping):
        content = content.get(_WRAPPER, content)
    if not isinstance(content, Mapping) or not all(
        isinstance(value, Tensor) for value in content.values()
    ):
        raise ValueError(f"{path}: expected tensors by name, or an entry 'state_dict' with them")
    kept = {str(name): v for name, v in content.items() if not str(name).startswith(UNUSED)}
    if len(kept) < len(content):
        dropped = len(content) - len(kept)
        logger.info("%s: %d tensors of the training loss (loss.*) are not used", path, dropped)
    return kept


class _Ignored:
    """Stands for a class of the trainer that wrote the file."""


def _callbacks_ignored(path: Path) -> AbstractContextManager[Any]:
    """Let the reader pass over the trainer's callbacks, whose states published files may keep."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        allow = torch.serialization.safe_globals
    except (*_DAMAGED, OSError, UnpicklingError):  # torch < 2.6; not a zip file
        return nullcontext()
    return allow([(_Ignored, name) for name in names if name.startswith(_TRAINER)])


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__
