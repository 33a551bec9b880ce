"""A checkpoint as a folder: safetensors and plain JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from biomedgpt_fairseq.checkpoint_tools import plain

STATE_FILE = "state.json"
MODEL_FILE = "model.safetensors"
OTHER_FILE = "state.safetensors"
FORMAT = "biomedgpt checkpoint 1"
_MODEL = "model."


def write_folder(state: Mapping[str, Any], folder: Path) -> None:
    """Write all of a checkpoint's content: weights by name, other tensors by place, the rest.

    Raises ValueError for content that is neither a tensor nor plain data, OSError for a full disk.
    """
    content, tensors = plain.to_plain(state)
    model = {k.removeprefix(_MODEL): v for k, v in tensors.items() if k.startswith(_MODEL)}
    others = {k: v for k, v in tensors.items() if not k.startswith(_MODEL)}
    try:
        save_file(model, folder / MODEL_FILE)
        save_file(others, folder / OTHER_FILE)
    except SafetensorError as error:
        raise OSError(f"{folder}: {error}") from error
    text = json.dumps({"format": FORMAT, "state": content}, indent=1, allow_nan=False)
    (folder / STATE_FILE).write_text(text + "\n", encoding="utf-8")


def read_folder(folder: Path) -> dict[str, Any]:
    """Content of a folder of `write_folder`.  Raises ValueError that names the file."""
    path = folder / STATE_FILE
    content = read_json(path)
    if content.get("format") != FORMAT:
        raise ValueError(f"{path}: expected the format {FORMAT!r}, found {content.get('format')!r}")
    tensors = {
        f"{_MODEL}{name}": value for name, value in read_tensors(folder / MODEL_FILE).items()
    }
    tensors |= read_tensors(folder / OTHER_FILE)
    try:
        state = plain.from_plain(content.get("state"), tensors)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        raise ValueError(f"{path}: expected an entry 'model'")
    return state


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.  Raises FileNotFoundError, or ValueError that names the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON, found {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object")
    return content


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.  Raises FileNotFoundError, or ValueError that names it."""
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"{path}: not a whole safetensors file ({error})") from error
