"""Warnings about fairseq's own old calls, which a user can do nothing about."""

from __future__ import annotations

import ast
import logging
import warnings

from fairseq_compat.patch import Patch, prepend

MESSAGES = (
    # hydra: the requirement hydra-core<1.4 answers it, and fairseq's config.yaml needs the rest.
    r"(?s).*Hydra 1\.4 will remove",
    r"(?s).*# @package _group_",
    r"(?s).*validated against ConfigStore schema with the same name",
    r"(?s).*Defaults list is missing `_self_`",
    r"(?s).*no longer change working directory at job runtime",
    # torch
    r"(?s).*`torch\.cuda\.amp\.\w+\(.*\)` is deprecated",
    r"(?s).*`torch\.jit\.script` is deprecated",
    r"(?s).*`torch\.nn\.utils\.weight_norm` is deprecated",
    r"(?s).*'pin_memory' argument is set as true but no accelerator is found",
    r"(?s).*Support for mismatched key_padding_mask and (attn|src)_mask is deprecated",
    r"(?s).*`broadcast_buffers` is deprecated",
)


def install() -> None:
    """Hide these warnings, by message."""
    for message in MESSAGES:
        warnings.filterwarnings("ignore", message=message)
    logging.getLogger("fairseq.tasks.text_to_speech").addFilter(_not_about_speech)
    warnings.filterwarnings("ignore", category=SyntaxWarning, module=r"fairseq(\.|$)")


def _not_about_speech(record: logging.LogRecord) -> bool:
    """fairseq logs at every import that tensorboardX, an alternative to tensorboard, is absent."""
    return "tensorboardX" not in record.getMessage()


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
