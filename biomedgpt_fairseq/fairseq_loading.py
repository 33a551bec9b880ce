"""Checkpoint files, this project's or released ones -> task and models."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Optional

import torch
from fairseq.tasks import TASK_REGISTRY
from torch import Tensor

from biomedgpt_fairseq import fairseq_register as fairseq_register
from biomedgpt_fairseq.checkpoint_tools.content import averaged_weights
from biomedgpt_fairseq.fairseq_checkpoint_files import build_network, read
from biomedgpt_fairseq.fairseq_saved_options import (
    Options,
    SavedOptions,
    log_ignored,
    saved_options,
    task_options,
)
from biomedgpt_fairseq.tasks.base import parse_generation_args

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadRequest:
    """What to load and what to change."""

    paths: Sequence[str]
    overrides: Options = field(default_factory=dict)
    """Task and model options that replace the saved ones."""
    task_name: Optional[str] = None
    """Another task than the saved one; it takes over the saved options that it also has."""
    ema: bool = False
    """Averaged weights instead of the plain ones."""
    search: bool = False
    """vqa_gen: beam search for the answer instead of scoring every candidate."""
    zero_shot: bool = False
    """vqa_gen: free answers of a model that was not trained on the answer list."""
    seed: int = 7


@dataclass(frozen=True)
class Loaded:
    """A task with its models, in evaluation mode, in float32 on the CPU."""

    task: Any
    task_name: str
    task_options: Any
    models: list[Any]
    saved: SavedOptions
    """Those of the first file."""


def load(request: LoadRequest) -> Loaded:
    """Build the task of the first checkpoint and the models of all of them."""
    loaded: Optional[Loaded] = None
    for path in request.paths:
        state = read_checkpoint(path)
        saved = saved_options(state)
        if loaded is None:
            loaded = _setup_task(request, saved)
            _restore_answers(loaded, request, state)
        weights = select_weights(state, request.ema, path)
        try:
            dictionary = loaded.task.source_dictionary
            options = {**saved.model, **request.overrides}
            model = build_network(options, weights, len(dictionary), dictionary.pad())
            model.load_state_dict(weights, strict=True)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        loaded.models.append(model.eval())
        logger.info("%s: loaded%s", path, " averaged weights" if request.ema else "")
    if loaded is None:
        raise ValueError("--path names no checkpoint")
    return loaded


def read_checkpoint(path: str) -> Options:
    """Content of a checkpoint of any layout on the CPU, without running any code in it.

    Raises ValueError for a file that could not be read without running code.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"--path {path}: no such file")
    try:
        return read(Path(path)).state
    except UnpicklingError as error:
        raise ValueError(str(error)) from error


def select_weights(state: Mapping[str, Any], ema: bool, path: str) -> dict[str, Tensor]:
    """The weights in float32: the plain ones, or the averaged ones of `extra_state`.

    Raises ValueError when averaged weights are asked for and the file holds none.
    """
    weights = state["model"]
    if ema:
        averaged = averaged_weights(state)
        if not averaged:
            raise ValueError(
                f"{path}: no averaged weights (extra_state.ema); "
                "train with --store-ema, or evaluate without --ema-eval"
            )
        weights = {**weights, **averaged}
    return {k: v.float() if torch.is_floating_point(v) else v for k, v in weights.items()}


def _setup_task(request: LoadRequest, saved: SavedOptions) -> Loaded:
    # Zero-shot evaluation is of models that were trained on something else.
    name = request.task_name or ("vqa_gen" if request.zero_shot else saved.task_name)
    if name is None:
        raise ValueError(f"{request.paths[0]}: the file names no task; say which with --task")
    overrides = dict(request.overrides)
    # A row that cannot be read must not be replaced by another one, which would count twice.
    overrides |= {"on_bad_row": "raise", "seed": request.seed}
    if name == "vqa_gen":
        overrides |= _vqa_inference(request, {**saved.task, **overrides})
    elif request.search or request.zero_shot:
        raise ValueError(f"--beam-search-vqa-eval and --zero-shot are for vqa_gen, not {name}")
    options = task_options(name, saved.task, overrides)
    log_ignored(saved, options)
    return Loaded(TASK_REGISTRY[name].setup_task(options), name, options, [], saved)


def _restore_answers(loaded: Loaded, request: LoadRequest, state: Mapping[str, Any]) -> None:
    """Take over the answers that training added to the set, unless another set is asked for."""
    chosen = request.overrides.keys() & {"ans2label_dict", "ans2label_file"}
    if loaded.task_name == loaded.saved.task_name and not chosen:
        loaded.task.load_state_dict(state.get("task_state") or {})


def _vqa_inference(request: LoadRequest, options: Options) -> Options:
    """How vqa_gen answers: by scoring all candidates unless told, or forced, otherwise."""
    if request.zero_shot:
        # No forced prompt either: the original's zero-shot search starts from bos.
        generation = vars(parse_generation_args(options.get("eval_args")))
        return {
            "val_inference_type": "beamsearch",
            "unconstrained_training": True,
            "prompt_type": "none",
            "eval_args": json.dumps({**generation, "zero_shot": True}),
        }
    if "val_inference_type" in request.overrides and not request.search:
        return {}
    search = request.search or bool(options.get("unconstrained_training"))
    return {"val_inference_type": "beamsearch" if search else "allcand"}
