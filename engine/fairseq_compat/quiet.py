"""Warnings about fairseq's own old calls, which a user can do nothing about."""

from __future__ import annotations

import ast
import warnings

from fairseq_compat.patch import Patch, prepend

MESSAGES = (
    r"\s*The version_base parameter is not specified",  # fairseq-hydra-train
    r"(?s).*# @package _group_",  # header of fairseq's config.yaml files
    r"(?s).*automatic schema-matching",  # the same files
    r"(?s).*Defaults list is missing `_self_`",  # the same files
    r"`torch\.cuda\.amp\.\w+\(.*\)` is deprecated",
    r"(?s).*`torch\.nn\.utils\.weight_norm` is deprecated",
    r"(?s).*'pin_memory' argument is set as true but no accelerator is found",
    r"(?s).*torch\.distributed\._sharded_tensor",
)


def install() -> None:
    """Hide these warnings, by message."""
    for message in MESSAGES:
        warnings.filterwarnings("ignore", message=message)
    warnings.filterwarnings("ignore", category=SyntaxWarning, module=r"fairseq(\.|$)")


def _edit(tree: ast.Module) -> None:
    prepend(tree, "from fairseq_compat.quiet import install as _quiet\n_quiet()")


PATCHES = (
    Patch(
        name="quiet",
        module="fairseq",
        reason="a dozen lines of deprecation warnings before the first line of a log",
        edit=_edit,
    ),
)
