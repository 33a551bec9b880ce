"""Arrays of an .npz archive row by row, without loading or unpickling them."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of the name and of the extra field


class NpzArray:
    """One array of the archive; only its header is read at first.

    Stored arrays are memory-mapped; compressed ones are unpacked as they are read.
    Raises ValueError for a missing array, for Fortran order and for arrays of objects.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self._member = f"{name}.npy"
        with zipfile.ZipFile(path) as archive:
            if self._member not in archive.namelist():
                known = ", ".join(archive.namelist())
                raise ValueError(f"{path}: expected an array {name!r}, found {known}")
            info = archive.getinfo(self._member)
            with archive.open(self._member) as stream:
                self.shape, self.dtype = self._read_header(stream)
                header = stream.tell()
        self._offset = None
        if info.compress_type == zipfile.ZIP_STORED:
            self._offset = _data_start(path, info) + header

    def __len__(self) -> int:
        return self.shape[0]

    def rows(self, start: int = 0) -> Iterator[Array]:
        """Rows array[start], array[start + 1], ..."""
        if self._offset is not None:
            mapped = np.memmap(self.path, self.dtype, "r", self._offset, self.shape)
            yield from mapped[start:]
            return
        size = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        with zipfile.ZipFile(self.path) as archive, archive.open(self._member) as stream:
            self._read_header(stream)
            for number in range(len(self)):
                raw = stream.read(size)
                if len(raw) != size:
                    raise ValueError(f"{self.path}: {self._member} is cut at row {number}")
                if number >= start:
                    yield np.frombuffer(raw, self.dtype).reshape(self.shape[1:])

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
