"""The SHA-256 of a checkpoint beside it, in `NAME.sha256`, as the program sha256sum writes it.

Two files cannot be replaced at once.  So the sum of the coming file is added before that file gets
its name, and the sum of the old one is taken out afterwards: whenever the process dies, the file
that is there has its sum beside it.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

SUFFIX = ".sha256"
FOLDER_FILE = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_BLOCK = 1 << 22


class ChecksumError(ValueError):
    """A file is not the one that was saved."""


class HashingFile(io.BufferedWriter):
    """A file written from its beginning to its end, which sums up what passes through."""

    def __init__(self, path: str) -> None:
        super().__init__(io.FileIO(path, "w"))
        self._sum = hashlib.sha256()

    def write(self, data: Buffer, /) -> int:
        """Write all of it; returns the number of bytes."""
        self._sum.update(data)
        return super().write(data)

    def hexdigest(self) -> str:
        """SHA-256 of all that was written so far."""
        return self._sum.hexdigest()


def recorded(path: str) -> list[str]:
    """Sums in the file beside path; none if there is no such file, or not a readable one."""
    with suppress(FileNotFoundError):
        lines = Path(path + SUFFIX).read_text("utf-8", errors="replace").splitlines()
        return [match[1] for match in map(_LINE.fullmatch, lines) if match]
    return []


def record(path: str, digests: list[str]) -> None:
    """Write the file beside path: whole or not at all."""
    temporary = path + SUFFIX + ".tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.writelines(f"{digest}  {os.path.basename(path)}\n" for digest in digests)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path + SUFFIX)
    except OSError as error:
        with suppress(OSError):
            os.remove(temporary)
        raise OSError(error.errno, error.strerror, temporary) from error


def publish(temporary: str, path: str, digest: str) -> None:
    """Give a complete file its name, in place of the one that has it; its sum comes along."""
    record(path, [digest, *recorded(path)])
    os.replace(temporary, path)
    sync_folder(path)
    record(path, [digest])
    sync_folder(path)


def sync_folder(path: str) -> None:
    """Flush the names in path's folder to the disk, where the system can."""
    with suppress(OSError):  # some network file systems refuse it
        descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove(path: str) -> None:
    """Remove a file and its sum."""
    os.remove(path)
    with suppress(FileNotFoundError):
        os.remove(path + SUFFIX)


def sha256(path: str) -> str:
    """SHA-256 of a file; summed up once in a process while the file stays as it is."""
    status = os.stat(path)
    return _sha256(path, status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=64)
def _sha256(path: str, size: int, changed: int, inode: int) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def check(path: str) -> bool:
    """Whether path has a sum beside it, and it is right.

    A whole copy of another checkpoint of the folder is right, too: so a run is set back by hand.
    Raises ChecksumError if there is a sum and it is another file's.
    """
    if not os.path.exists(path + SUFFIX):
        return False
    found = sha256(path)
    others = Path(path).parent.glob("*" + SUFFIX)
    if found in recorded(path):
        return True
    if any(found in recorded(str(other).removesuffix(SUFFIX)) for other in others):
        return True
    raise ChecksumError(
        f"{path}: the SHA-256 is {found}, not the one in {os.path.basename(path)}{SUFFIX}: the "
        "file was damaged, or replaced by another (if that was you, delete the .sha256 file)"
    )


def record_folder(folder: Path) -> None:
    """Write the sums of all files of a folder into one more file."""
    lines = [f"{sha256(str(path))}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / FOLDER_FILE).write_text("".join(lines), encoding="utf-8")


def check_folder(folder: Path) -> bool:
    """Whether a folder has a file of sums, and all of them are right.

    Raises ChecksumError that names the first file that is absent or another one.
    """
    path = folder / FOLDER_FILE
    if not path.is_file():
        return False
    for line in path.read_text("utf-8", errors="replace").splitlines():
        match = _LINE.fullmatch(line)
        if match is None or os.sep in match[2]:
            raise ChecksumError(f"{path}: not a line of sha256sum: {line!r:.100}")
        member = folder / match[2]
        if not os.path.isfile(member):  # unlike Path.is_file, takes any name
            raise ChecksumError(f"{member}: listed in {FOLDER_FILE}, but absent")
        if sha256(str(member)) != match[1]:
            raise ChecksumError(
                f"{member}: the SHA-256 is not the one in {FOLDER_FILE}: the file was damaged, or "
                f"replaced by another (if that was you, delete {FOLDER_FILE})"
            )
    return True
