"""Options stored in a checkpoint -> options of today's tasks.

Released files hold them as a pickled argparse.Namespace (`args`), as an omegaconf config or plain
containers (`cfg`), or not at all.
"""

import json
import logging
import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Optional

from fairseq.tasks import TASK_DATACLASS_REGISTRY
from omegaconf import OmegaConf

from biomedgpt_fairseq.models.fairseq_options import ModelOptions

logger = logging.getLogger(__name__)

Options = dict[str, Any]
MODEL_OPTION_NAMES = frozenset({"arch", "_name", *(field.name for field in fields(ModelOptions))})
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


@dataclass(frozen=True)
class SavedOptions:
    """Options stored in a checkpoint, plain values only; all empty when the file holds none."""

    task_name: Optional[str]
    task: Options
    model: Options
    log_file: Optional[str] = None


def saved_options(state: Mapping[str, Any]) -> SavedOptions:
    """The options stored in a checkpoint, whatever their form.

    Raises ValueError for anything that is no options.
    """
    if state.get("args") is not None:
        flat = _mapping(state["args"], "args")
        return SavedOptions(flat.get("task"), flat, flat, flat.get("log_file"))
    if state.get("cfg") is None:
        return SavedOptions(None, {}, {})
    root = {name: _plain(section) for name, section in _mapping(state["cfg"], "cfg").items()}
    task, model, common = (_resolve(root.get(name), root) for name in ("task", "model", "common"))
    # A model without an option class is saved with all options of the run, its task's among them.
    return SavedOptions(task.get("_name") or model.get("task"), task, model, common.get("log_file"))


def task_options(name: str, saved: Options, overrides: Options) -> Any:
    """Options of a task: its defaults, then the saved values, then the overrides."""
    if name not in TASK_DATACLASS_REGISTRY:
        known = ", ".join(sorted(TASK_DATACLASS_REGISTRY))
        raise ValueError(f"no task is called {name!r}; choose another by --task: {known}")
    options = TASK_DATACLASS_REGISTRY[name]()
    given = {**saved, **overrides}
    for key in _names(options):
        value = given.get(key, getattr(options, key))
        if isinstance(value, str) and (reference := _REFERENCE.fullmatch(value)):
            # The default points into the options of a whole run, such as ${common.seed}.
            value = given.get(reference[1].rpartition(".")[2])
        setattr(options, key, json.dumps(value) if isinstance(value, dict) else value)
    return options


def log_ignored(saved: SavedOptions, options: Any) -> None:
    """Tell in one line which saved options neither the task nor the network has."""
    known = _names(options) | MODEL_OPTION_NAMES
    ignored = sorted({*saved.task, *saved.model} - known)
    if ignored:
        logger.info("saved options without effect: %s", ", ".join(ignored))


def _names(options: Any) -> set[str]:
    return {field.name for field in fields(options) if not field.name.startswith("_")}


def _plain(options: Any) -> Any:
    """Namespace or omegaconf config -> dict; nothing is resolved or called."""
    if isinstance(options, Namespace):
        return dict(vars(options))
    if OmegaConf.is_config(options):
        return OmegaConf.to_container(options, resolve=False, enum_to_str=True)
    return options


def _mapping(options: Any, name: str) -> Options:
    found = _plain(options)
    if not isinstance(found, dict):
        raise ValueError(f"expected options as {name!r}, found {type(found).__name__}")
    return found


def _resolve(section: Any, root: Options) -> Options:
    """Replace references such as ${task.num_bins} by what they name; drop those to nowhere."""
    resolved = {}
    for key, value in (section if isinstance(section, dict) else {}).items():
        match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            resolved[key] = value
            continue
        node: Any = root
        for part in match[1].split("."):
            node = node.get(part) if isinstance(node, dict) else None
        if node is not None:
            resolved[key] = node
    return resolved
