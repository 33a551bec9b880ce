"""What a fairseq checkpoint consists of, and the least that training can start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from biomedgpt_fairseq.checkpoint_tools.plain import equal


def fresh_state(
    model: Mapping[str, Tensor], cfg: Any, task_state: Any = None, args: Any = None
) -> dict[str, Any]:
    """A fairseq file's content with weights and options alone, from which training can start."""
    history = {"criterion_name": "", "optimizer_name": "", "lr_scheduler_state": {}}
    return {
        "args": args,
        "cfg": cfg,
        "model": dict(model),
        "criterion": None,
        "optimizer_history": [{**history, "num_updates": 0}],
        "task_state": task_state or {},
        "extra_state": {"train_iterator": {"version": 2, "epoch": 1, "iterations_in_epoch": 0}},
    }


def weights_only(state: Mapping[str, Any]) -> dict[str, Any]:
    """Without optimizer, averages, counters and records of the training."""
    return fresh_state(state["model"], state.get("cfg"), state.get("task_state"), state.get("args"))


def training_parts(state: Mapping[str, Any]) -> list[str]:
    """Names of what `weights_only` would drop."""
    kept = weights_only(state)
    parts = []
    for name, value in state.items():
        if name == "extra_state":
            parts += [f"{name}.{key}" for key in value or {} if key not in kept[name]]
        elif value and not equal(value, kept.get(name)):
            parts.append(name)
    return parts


def averaged_weights(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The moving average of the weights; empty if the file has none.

    The float32 copy goes first; it lacks what is not averaged, such as integer buffers.
    """
    extra = state.get("extra_state") or {}
    return {**(extra.get("ema") or {}), **(extra.get("ema_fp32_params") or {})}


def num_updates(state: Mapping[str, Any]) -> int:
    """Updates done when the file was saved; 0 if it does not tell."""
    history = state.get("optimizer_history") or [{}]
    return int(history[-1].get("num_updates", 0))
