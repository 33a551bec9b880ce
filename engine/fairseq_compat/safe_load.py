"""The loader of checkpoints: tensors, plain data and a short list of records; never code.

A pickle can call any function while it is read.  torch's weights-only reader calls none but those
on a list; `safe_globals` adds what fairseq's checkpoints hold.  Anything else is refused by name.
"""

from __future__ import annotations

import errno
import logging
import os
import pickle
import struct
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO
from unittest.mock import patch

import torch

from fairseq_compat import checksum
from fairseq_compat.safe_globals import names_without_import, resolve

logger = logging.getLogger(__name__)

TRUST_SWITCH = "BIOMEDGPT_TRUST_CHECKPOINTS"

# What the reader may raise over bytes that torch.save did not write.
_DAMAGED = (
    *(AttributeError, EOFError, LookupError, RuntimeError, TypeError, ValueError),
    *(ArithmeticError, AssertionError, MemoryError, OSError, struct.error),
)

Source = str | os.PathLike[str] | BinaryIO


class UnsafeCheckpointError(pickle.UnpicklingError, ValueError):
    """The file needs functions or classes that are not on the list."""


def load(
    path_or_file: Source,
    map_location: Any = None,
    mmap: bool | None = None,
    trust: bool | None = None,
) -> Any:
    """What torch.save stored in the file, without running code from it.

    map_location, mmap: as in torch.load.  trust: load a file that runs code all the same, with a
    warning (default: whether the environment variable BIOMEDGPT_TRUST_CHECKPOINTS is 1).
    Raises UnsafeCheckpointError, naming the refused globals, and ChecksumError if a `.sha256` file
    stands beside it and belongs to another content.
    """
    named = _name(path_or_file)
    if os.path.isfile(named):
        checksum.check(named)
    start = None if isinstance(path_or_file, str | os.PathLike) else path_or_file.tell()
    try:
        return _load_safely(path_or_file, map_location, mmap)
    except UnsafeCheckpointError as error:
        if not (os.environ.get(TRUST_SWITCH) == "1" if trust is None else trust):
            raise
        warnings.warn(f"running code from a checkpoint, as told; {error}", stacklevel=2)
        logger.warning("running code from %s, as told", named)
    if start is not None and not isinstance(path_or_file, str | os.PathLike):
        path_or_file.seek(start)
    return torch.load(path_or_file, map_location=map_location, mmap=mmap, weights_only=False)


def _load_safely(source: Source, map_location: Any, mmap: bool | None) -> Any:
    names = _globals_of(source)
    pairs, refused = resolve(names_without_import() if names is None else names)
    if names is not None and refused:
        raise UnsafeCheckpointError(_refusal(source, refused))
    try:
        with _allow(pairs), _short_errors():
            return torch.load(source, map_location=map_location, mmap=mmap, weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpointError(_refusal(source, [_reason(error)])) from error
    except _DAMAGED as error:
        if isinstance(error, RuntimeError) and "weights_only=True" in str(error):
            # Forms that torch reads in the unsafe way only.
            form = "TorchScript" if "TorchScript" in str(error) else "the tar format of old torch"
            raise UnsafeCheckpointError(_refusal(source, [form])) from error
        if _is_elsewhere(error):
            raise
        raise ValueError(_unreadable(source, error)) from error


def _globals_of(source: Source) -> list[str] | None:
    """Names in the file beyond torch's own list; None if they cannot be listed beforehand."""
    listing = getattr(torch.serialization, "get_unsafe_globals_in_checkpoint", None)
    if listing is None:  # torch < 2.6
        return None
    start = None if isinstance(source, str | os.PathLike) else source.tell()
    try:
        names: list[str] = listing(source)
    except (*_DAMAGED, pickle.UnpicklingError) as error:
        if _is_elsewhere(error):
            raise
        return None  # the format before torch 1.6; a damaged file
    finally:
        if start is not None and not isinstance(source, str | os.PathLike):
            source.seek(start)
    return names


def _is_elsewhere(error: Exception) -> bool:
    """Whether the fault is not the file's content: no such device, a disk that cannot be read."""
    if isinstance(error, OSError):
        return error.errno != errno.EINVAL  # of a place before the beginning of the file
    return isinstance(error, RuntimeError) and "deserialize object on" in str(error)


def _allow(pairs: list[tuple[Any, str]]) -> AbstractContextManager[Any]:
    safe_globals = getattr(torch.serialization, "safe_globals", None)
    if safe_globals is None or not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        # Older readers cannot be told names, and have a known hole (CVE-2025-32434).
        logger.warning(
            "torch %s cannot read checkpoints safely: use 2.6 or newer", torch.__version__
        )
        return nullcontext()
    context: AbstractContextManager[Any] = safe_globals(pairs)
    return context


class _ShortError(pickle.UnpicklingError):
    """torch looks for patterns in these errors, which takes minutes on a name of 50 kB."""

    def __str__(self) -> str:
        return super().__str__()[:1000]


def _short_errors() -> AbstractContextManager[Any]:
    """Let torch's reader raise errors of a bounded length, whatever names the file holds."""
    reader = getattr(torch, "_weights_only_unpickler", None)
    if not hasattr(reader, "UnpicklingError"):
        return nullcontext()
    return patch.object(reader, "UnpicklingError", _ShortError)


def _reason(error: pickle.UnpicklingError) -> str:
    """What torch's reader found; it raises a long advice around that."""
    inner = error.__context__ if isinstance(error.__context__, pickle.UnpicklingError) else error
    return str(inner).strip().partition("\n")[0][:200] or "an instruction that is not supported"


def _refusal(source: Source, refused: list[str]) -> str:
    return (
        f"{_name(source)}: the checkpoint refers to code that is not known to be harmless: "
        f"{', '.join(refused)}.  Nothing of it was run.  If you trust whoever made the file, "
        "rewrite it once without code by `biomedgpt checkpoint convert --trust`, or set the "
        f"environment variable {TRUST_SWITCH}=1 to load it all the same"
    )


def _unreadable(source: Source, error: Exception) -> str:
    reason = str(error).partition("\n")[0][:200]
    return (
        f"{_name(source)}: not a complete file of torch.save ({type(error).__name__}: {reason}); "
        "was it cut off while it was copied or saved?"
    )


def _name(source: Source) -> str:
    if isinstance(source, str | os.PathLike):
        return str(Path(source))
    return str(getattr(source, "name", "checkpoint in memory"))
