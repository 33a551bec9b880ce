"""A checkpoint appears whole or not at all, copies included; a failed save names its cause.

Its SHA-256 stands beside it, and what was `checkpoint_last.pt` before stays as
`checkpoint_previous.pt`.

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
from typing import Any

from fairseq_compat import checksum
from fairseq_compat.patch import Patch, prepend, swap

LAST, PREVIOUS = "checkpoint_last", "checkpoint_previous"

_ATTEMPTS = 3
_NO_USE_TO_RETRY = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}


def write_temporary(write: Callable[[checksum.HashingFile], object], temporary: str) -> str:
    """Write a file and flush it to the disk; on any error remove it and raise.

    Returns the SHA-256.  Raises OSError with the system's reason and the file's name, where there
    is one.
    """
    try:
        with checksum.HashingFile(temporary) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            return file.hexdigest()
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


def save_object(obj: Any, path: str) -> None:
    """torch.save under a temporary name, then rename; tries again from its beginning."""
    import torch

    for attempt in range(_ATTEMPTS):
        try:
            digest = write_temporary(lambda file: torch.save(obj, file), path + ".tmp")
            break
        except OSError as error:
            if attempt == _ATTEMPTS - 1 or error.errno in _NO_USE_TO_RETRY:
                raise
            time.sleep(attempt + 1)
    _publish(path, digest)


def copy_file(source: str, target: str, keep_previous: bool = True) -> str:
    """Copy a file beside the target, then rename; returns target as shutil.copyfile does."""
    with open(source, "rb") as original:
        digest = write_temporary(
            lambda file: shutil.copyfileobj(original, file, 1 << 24), target + ".tmp"
        )
    _publish(target, digest, keep_previous)
    return target


def _publish(path: str, digest: str, keep_previous: bool = True) -> None:
    try:
        if keep_previous:
            _keep_previous(path)
        checksum.publish(path + ".tmp", path, digest)
    except OSError:
        with suppress(OSError):
            os.remove(path + ".tmp")
        raise


def _keep_previous(path: str) -> None:
    """Give the run's last checkpoint, which is about to be replaced, a second name."""
    folder, name = os.path.split(path)
    if not name.startswith(LAST) or not os.path.exists(path):
        return
    previous = os.path.join(folder, name.replace(LAST, PREVIOUS, 1))
    if os.path.exists(previous) and os.path.samefile(path, previous):
        return  # the process before this one was killed right after it
    with suppress(FileNotFoundError):  # of a process that was killed
        os.remove(previous + ".tmp")
    try:
        os.link(path, previous + ".tmp")
    except OSError:  # a file system without second names
        shutil.copyfile(path, previous + ".tmp")
    # Without a sum of its own, of an older version, it gets none.
    known = checksum.recorded(path)
    if known:
        checksum.publish(previous + ".tmp", previous, known[0])
    else:
        with suppress(FileNotFoundError):
            os.remove(previous + checksum.SUFFIX)
        os.replace(previous + ".tmp", previous)


_STOCK_SAVE = """
if PathManager.supports_rename(filename):
    with PathManager.open(filename + ".tmp", "wb") as f:
        _torch_persistent_save(obj, f)
    PathManager.rename(filename + ".tmp", filename)
else:
    with PathManager.open(filename, "wb") as f:
        _torch_persistent_save(obj, f)
"""


_SAVE = """
if PathManager.supports_rename(filename):
    _save_object(obj, filename)
else:
    with PathManager.open(filename, "wb") as f:
        _torch_persistent_save(obj, f)
"""


def _edit_save(tree: ast.Module) -> None:
    swap(tree, {_STOCK_SAVE: _SAVE}, inside="torch_persistent_save")
    swap(tree, {"os.remove(old_chk)": "_remove(old_chk)"}, inside="save_checkpoint")
    prepend(tree, "from fairseq_compat.atomic_save import save_object as _save_object")
    prepend(tree, "from fairseq_compat.checksum import remove as _remove")


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
