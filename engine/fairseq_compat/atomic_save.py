"""A checkpoint appears whole or not at all, copies included; a failed save names its cause.

Stock writes `checkpoint_last.pt` as a copy over the old file, so a full disk destroys the only
checkpoint to resume from.  Its retry after an error appends to what the failed attempt left, which
can make a broken file that is then renamed.  Nothing is flushed to the disk before the rename.
"""

from __future__ import annotations

import ast
import errno
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

from fairseq_compat.patch import Patch, prepend, swap

_ATTEMPTS = 3
_NO_USE_TO_RETRY = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}


def write_temporary(write: Callable[[BinaryIO], None], temporary: str) -> None:
    """Write a file and flush it to the disk; on any error remove it and raise.

    Raises OSError with the system's reason and the file's name, where there is one.
    """
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        with suppress(OSError):
            os.remove(temporary)
        cause = _system_error(error)
        if cause is None or cause.errno is None:
            raise
        raise OSError(cause.errno, cause.strerror, temporary) from error


def _system_error(error: BaseException | None) -> OSError | None:
    """The OSError behind torch's `unexpected pos ...`, which hides it."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def save_object(obj: Any, temporary: str) -> None:
    """torch.save into a temporary file that the caller renames; tries again from its beginning."""
    import torch

    for attempt in range(_ATTEMPTS):
        try:
            write_temporary(lambda file: torch.save(obj, file), temporary)
            return
        except OSError as error:
            if attempt == _ATTEMPTS - 1 or error.errno in _NO_USE_TO_RETRY:
                raise
            time.sleep(attempt + 1)


def copy_file(source: str, target: str) -> str:
    """Copy a file beside the target, then rename; returns target as shutil.copyfile does."""
    with open(source, "rb") as original:

        def write(file: BinaryIO) -> None:
            shutil.copyfileobj(original, file, 1 << 24)

        write_temporary(write, target + ".tmp")
    os.replace(target + ".tmp", target)
    return target


_STOCK_WRITE = """
with PathManager.open(filename + ".tmp", "wb") as f:
    _torch_persistent_save(obj, f)
"""


def _edit_save(tree: ast.Module) -> None:
    swap(
        tree,
        {_STOCK_WRITE: '_save_object(obj, filename + ".tmp")'},
        inside="torch_persistent_save",
    )
    prepend(tree, "from fairseq_compat.atomic_save import save_object as _save_object")


def _edit_copy(tree: ast.Module) -> None:
    swap(
        tree,
        {"shutil.copyfile(src_path, dst_path)": "_copy_file(src_path, dst_path)"},
        inside="PathManager.copy",
    )
    prepend(tree, "from fairseq_compat.atomic_save import copy_file as _copy_file")


PATCHES = (
    Patch(
        name="atomic-save",
        module="fairseq.checkpoint_utils",
        reason="a retried save can leave a broken checkpoint; RuntimeError hides 'no space left'",
        edit=_edit_save,
    ),
    Patch(
        name="atomic-copy",
        module="fairseq.file_io",
        reason="a full disk while checkpoint_last.pt is copied destroys the old one",
        edit=_edit_copy,
    ),
)
