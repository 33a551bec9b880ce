"""Offset index of a row file: where each row starts, kept in a file beside it.

Layout of `NAME.tsv.offsets`: a header of 48 bytes, then row starts and the end as int64.
"""

from __future__ import annotations

import logging
import os
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

logger = logging.getLogger(__name__)

Offsets = npt.NDArray[np.int64]

INDEX_SUFFIX = ".offsets"
_MAGIC = b"TSVROWS1"
# Magic; size and mtime_ns of the row file; rows; crc32 of the offsets; crc32 of all before.
_HEADER = struct.Struct("<8sqqqIxxxxI")
_HEADER_BYTES = 48
_CHUNK = 1 << 24
_NEWLINE = 10


def load_offsets(path: str) -> tuple[Offsets, os.stat_result]:
    """Row offsets (N+1,) of a file, row i being bytes [i] to [i+1], and the file's stat.

    Reads the index beside the file, memory-mapped, when it belongs to the file's size and time;
    otherwise scans the file once and writes the index.  Where the folder cannot be written, the
    index stays in memory.
    Raises FileNotFoundError for a missing file, ValueError for an empty one.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file; write it first, or correct the path")
    stat = os.stat(path)
    if stat.st_size == 0:
        raise ValueError(f"{path}: the file is empty; expected tab-separated rows: write it again")
    offsets = _read_index(path, stat)
    if offsets is None:
        offsets = scan_offsets(path)
        after = os.stat(path)
        if (after.st_size, after.st_mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            raise ValueError(f"{path}: the file changed while it was indexed; start again")
        offsets = _save_index(path, stat, offsets)
    return offsets, stat


def scan_offsets(path: str) -> Offsets:
    r"""Offsets (N+1,) of the rows of a file; rows end at \n only, the last may lack it."""
    parts = [np.zeros(1, dtype=np.int64)]
    buffer = np.empty(_CHUNK, dtype=np.uint8)
    position = 0
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer.data):
            parts.append(np.flatnonzero(buffer[:count] == _NEWLINE) + (position + 1))
            position += count
    offsets = np.concatenate(parts)
    return offsets if offsets[-1] == position else np.append(offsets, position)


def _header(stat: os.stat_result, offsets: Offsets) -> bytes:
    checksum = zlib.crc32(offsets.data.cast("B"))
    fields = (_MAGIC, stat.st_size, stat.st_mtime_ns, len(offsets) - 1, checksum)
    start = _HEADER.pack(*fields, 0)[:-4]
    return _HEADER.pack(*fields, zlib.crc32(start)).ljust(_HEADER_BYTES, b"\0")


def _read_index(path: str, stat: os.stat_result) -> Offsets | None:
    """The stored offsets, memory-mapped; None when there are none or they are not the file's."""
    index = Path(path + INDEX_SUFFIX)
    if not index.is_file():
        return None
    extra = index.stat().st_size - _HEADER_BYTES
    if extra < 16 or extra % 8:
        _log_outdated(index)
        return None
    try:
        offsets = np.memmap(index, dtype="<i8", mode="r", offset=_HEADER_BYTES)
        with index.open("rb") as file:
            found = file.read(_HEADER_BYTES)
    except OSError as error:
        logger.warning("%s: cannot be read (%s)", index, error)
        return None
    # Equal headers mean: this size, this time, this number of rows and these very offsets.
    if found == _header(stat, offsets):
        return offsets
    _log_outdated(index)
    return None


def _log_outdated(index: Path) -> None:
    logger.info("%s: belongs to another state of its file; indexing again", index)


def _save_index(path: str, stat: os.stat_result, offsets: Offsets) -> Offsets:
    """Write the index in one step, so that no reader sees half of it; the offsets, mapped."""
    index = path + INDEX_SUFFIX
    folder, name = os.path.split(os.path.abspath(index))
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(_header(stat, offsets))
            file.write(offsets.data.cast("B"))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, stat.st_mode & 0o666)
        os.replace(temporary, index)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        logger.info("%s: not written (%s); the index stays in memory", index, error)
        return offsets
    logger.info("%s: %d rows indexed", path, len(offsets) - 1)
    # Another process may already have replaced the index; what was scanned here is still right.
    stored = _read_index(path, stat)
    return offsets if stored is None else stored
