"""Arrays of an .npz archive row by row, without loading or unpickling them."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from data_utils.tables import DAMAGED_ARCHIVE, MAX_MEMBER

Array: TypeAlias = NDArray[Any]
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of the name and of the extra field


class NpzArray:
    """One array of the archive; only its header is read at first.

    Stored arrays are memory-mapped; compressed ones are unpacked as they are read.
    Raises ValueError for a damaged archive, a missing array, Fortran order, arrays of objects, and
    rows of more than MAX_MEMBER bytes.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self._member = f"{name}.npy"
        self._offset: int | None = None
        with self._faults_named(), zipfile.ZipFile(path) as archive:
            if self._member not in archive.namelist():
                known = ", ".join(archive.namelist())
                raise ValueError(f"{path}: expected an array {name!r}, found {known}")
            info = archive.getinfo(self._member)
            with archive.open(self._member) as stream:
                self.shape, self.dtype = self._read_header(stream)
                header = stream.tell()
            self._row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
            if self._row_bytes > MAX_MEMBER:
                raise ValueError(f"{path}: rows of {name} have {self._row_bytes:,} bytes: too many")
            if info.compress_type == zipfile.ZIP_STORED:
                self._offset = _data_start(path, info) + header
                if self._offset + len(self) * self._row_bytes > path.stat().st_size:
                    raise ValueError(f"{path}: {self._member} is cut off")

    def __len__(self) -> int:
        return self.shape[0]

    def rows(self, start: int = 0) -> Iterator[Array]:
        """Rows array[start], array[start + 1], ..."""
        if self._offset is not None and self._row_bytes:
            mapped = np.memmap(self.path, self.dtype, "r", self._offset, self.shape)
            yield from mapped[start:]
            return
        with (
            self._faults_named(),
            zipfile.ZipFile(self.path) as archive,
            archive.open(self._member) as stream,
        ):
            self._read_header(stream)
            for number in range(len(self)):
                raw = stream.read(self._row_bytes)
                if not self._row_bytes or len(raw) != self._row_bytes:
                    raise ValueError(f"{self.path}: {self._member} is cut at row {number}")
                if number >= start:
                    yield np.frombuffer(raw, self.dtype).reshape(self.shape[1:])

    @contextmanager
    def _faults_named(self) -> Iterator[None]:
        try:
            yield
        except DAMAGED_ARCHIVE as error:
            if str(self.path) in str(error):
                raise
            raise ValueError(f"{self.path}: damaged archive of arrays: {error!r:.200}") from error

    def _read_header(self, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = read(stream)
        if is_fortran or dtype.hasobject or not shape:
            raise ValueError(
                f"{self.path}: {self._member} must be a plain array in C order, found {dtype} "
                f"{shape}{' in Fortran order' if is_fortran else ''}"
            )
        return shape, dtype


def _data_start(path: Path, info: zipfile.ZipInfo) -> int:
    """Byte offset of a member's data; its local header may be longer than the central one."""
    with path.open("rb") as stream:
        stream.seek(info.header_offset)
        signature, name_length, extra_length = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
    if signature != b"PK\x03\x04":
        raise ValueError(f"{path}: damaged archive, no local header of {info.filename}")
    return int(info.header_offset + _LOCAL_HEADER.size + name_length + extra_length)
