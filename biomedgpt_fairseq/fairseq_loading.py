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
from biomedgpt_fairseq.fairseq_saved_options import (
    MODEL_OPTION_NAMES,
    Options,
    SavedOptions,
    log_ignored,
    saved_options,
    task_options,
)
from biomedgpt_fairseq.models.checkpoint import converted
from biomedgpt_fairseq.models.fairseq_model import FairseqShapedEncoder, OfaModel
from biomedgpt_fairseq.models.saved_config import config_from_weights
from biomedgpt_fairseq.models.transformer import build_parts

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
            model = _build_model(loaded.task, {**saved.model, **request.overrides}, weights)
            model.load_state_dict(weights, strict=True)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        loaded.models.append(model.eval())
        logger.info("%s: loaded%s", path, " averaged weights" if request.ema else "")
    if loaded is None:
        raise ValueError("--path names no checkpoint")
    return loaded


def read_checkpoint(path: str) -> Options:
    """Content of a checkpoint file on the CPU, without running any code in it.

    Raises ValueError for a file that could not be read without running code.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"--path {path}: no such file")
    from fairseq_compat import safe_load

    try:
        state = safe_load.load(path, map_location="cpu")
    except UnpicklingError as error:
        raise ValueError(str(error)) from error
    if not isinstance(state, dict) or "model" not in state:
        raise ValueError(f"{path}: expected a fairseq checkpoint with an entry 'model'")
    return state


def select_weights(state: Mapping[str, Any], ema: bool, path: str) -> dict[str, Tensor]:
    """The weights in float32: the plain ones, or the averaged ones of `extra_state`.

    Raises ValueError when averaged weights are asked for and the file holds none.
    """
    weights = state["model"]
    if ema:
        extra = state.get("extra_state") or {}
        # The float32 copy lacks what is not averaged, such as integer buffers.
        averaged = {**(extra.get("ema") or {}), **(extra.get("ema_fp32_params") or {})}
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
        generation = json.loads(options.get("eval_args") or "{}")
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


def _build_model(task: Any, options: Options, weights: Mapping[str, Tensor]) -> OfaModel:
    """The network with the saved options or, where there are none, those the weights imply."""
    symbols, pad = len(task.source_dictionary), task.source_dictionary.pad()
    if "arch" not in options and "_name" not in options:
        config = config_from_weights(converted(weights))
        if config.vocab_size != symbols:
            raise ValueError(
                f"the file has {config.vocab_size} symbols and the vocabulary {symbols}; "
                "check --bpe-dir, code_dict_size and num_bins"
            )
        return OfaModel(*build_parts(config, FairseqShapedEncoder))
    known = {name: value for name, value in options.items() if name in MODEL_OPTION_NAMES}
    # What these options did is in the weights already; the trunk's file may be gone.
    known |= {"resnet_model_path": None, "checkpoint_activations": False}
    return OfaModel.from_options(known, symbols, pad)
