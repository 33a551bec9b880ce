"""Folders in the layout of OFA's models for transformers <-> content of fairseq checkpoints."""

import json
import shutil
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

import torch
from fairseq_compat import atomic_save, safe_load
from torch import Tensor

from biomedgpt_fairseq.checkpoint_tools import hugging_face, plain
from biomedgpt_fairseq.checkpoint_tools.content import fresh_state, training_parts
from biomedgpt_fairseq.checkpoint_tools.folder import read_json, read_tensors
from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.fairseq_saved_options import saved_options
from biomedgpt_fairseq.models.saved_config import FIELD_OPTIONS, SIZE_OPTIONS
from biomedgpt_fairseq.text.folder import (
    CARD_FILE,
    FAIRSEQ_FILES,
    HF_MERGES_FILE,
    HF_VOCAB_FILE,
    read_vocabulary_folder,
)

OPTIONS_KEY = "biomedgpt"
VOCABULARY_FILES = (*FAIRSEQ_FILES, CARD_FILE, HF_VOCAB_FILE, HF_MERGES_FILE)


def write_folder(
    state: Mapping[str, Any], config: ModelConfig, folder: Path, bpe_dir: Optional[str]
) -> None:
    """Write weights, config.json and vocabulary.

    config: the network's.  bpe_dir: vocabulary folder, instead of the one that the options name.
    Raises ValueError for content that the layout has no place for.
    """
    dropped = training_parts(state)
    if dropped:
        raise ValueError(
            f"the Hugging Face layout has no place for {', '.join(dropped)}; "
            "add --weights-only to leave that out"
        )
    weights = hugging_face.to_hugging_face(state["model"])
    saved = saved_options(state)
    _write_vocabulary(bpe_dir or saved.task.get("bpe_dir"), saved.task, config.vocab_size, folder)
    options = {"task_name": saved.task_name, "task": saved.task, "model": saved.model}
    own, tensors = plain.to_plain({**options, "task_state": state.get("task_state")})
    if tensors:
        raise ValueError(f"the Hugging Face layout has no place for {', '.join(tensors)}")
    content = {**hugging_face.config_json(config), OPTIONS_KEY: own}
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
    (folder / hugging_face.CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    path = str(folder / hugging_face.WEIGHTS_FILE)
    atomic_save.write_temporary(lambda file: torch.save(weights, file), path)


def _write_vocabulary(
    source: Optional[str], task: Mapping[str, Any], size: int, folder: Path
) -> None:
    if source is None:
        raise ValueError("the file names no vocabulary folder; give it with --bpe-dir")
    files = read_vocabulary_folder(Path(source))
    num_special = 5
    rest = size - num_special - len(files.symbols)
    num_codes = int(task.get("code_dict_size", min(8192, rest)))
    if not 0 <= num_codes <= rest:
        raise ValueError(
            f"{source} is not the vocabulary of these weights: it has {len(files.symbols)} pieces, "
            f"they have {size} symbols"
        )
    hugging_face.write_vocabulary(files, num_codes, rest - num_codes, folder)
    # In fairseq's form, too: its counts and numbers do not follow from vocab.json.
    for name in VOCABULARY_FILES:
        if (Path(source) / name).is_file():
            shutil.copyfile(Path(source) / name, folder / name)


def copy_vocabulary(folder: Path, target: Path) -> None:
    """Copy the vocabulary of such a folder to one that --bpe-dir takes; checked on the way."""
    read_vocabulary_folder(folder)
    target.mkdir()
    for name in VOCABULARY_FILES:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)


def read_folder(folder: Path) -> Dict[str, Any]:
    """Content of a fairseq checkpoint: weights, options of the network, those of the task if known.

    Raises FileNotFoundError and ValueError that name the file.
    """
    path = folder / hugging_face.CONFIG_FILE
    content = read_json(path)
    try:
        config = hugging_face.config_from_json(content)
        own = plain.from_plain(content.get(OPTIONS_KEY) or {}, {})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(own, dict):
        raise ValueError(f"{path}: expected an object as {OPTIONS_KEY!r}")
    model = {**(own.get("model") or {}), **_model_options(config)}
    task = dict(own.get("task") or {})
    if own.get("task_name"):
        task["_name"] = own["task_name"]
    weights = hugging_face.from_hugging_face(_read_weights(folder))
    return fresh_state(weights, {"task": task, "model": model}, own.get("task_state"))


def _model_options(config: ModelConfig) -> Dict[str, Any]:
    """Options under which fairseq builds the network."""
    options = {option: getattr(config, field) for field, option in FIELD_OPTIONS.items()}
    for field, names in SIZE_OPTIONS.items():
        options |= dict.fromkeys(names, getattr(config, field))
    options["disable_entangle"] = not config.entangle_decoder
    return {**options, "_name": hugging_face.size_name(config)}


def _read_weights(folder: Path) -> Dict[str, Tensor]:
    path = folder / hugging_face.WEIGHTS_FILE
    if not path.is_file():
        return read_tensors(folder / hugging_face.SAFE_WEIGHTS_FILE)
    weights = safe_load.load(path, map_location="cpu")
    if not isinstance(weights, dict) or not all(map(torch.is_tensor, weights.values())):
        raise ValueError(f"{path}: expected a state dict")
    return weights
