"""What a result was computed from and with."""

from __future__ import annotations

import hashlib
import platform
import shlex
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    "torch",
    "fairseq",
    "numpy",
    "pillow",
    "scikit-learn",
    "rouge_score",
    "sacrebleu",
    "pycocoevalcap",
)
_CHUNK = 1 << 20


def file_record(path: str | Path) -> dict[str, object]:
    """Name, size in bytes and SHA-256 of a file, or of the list of sums of a folder's files."""
    digest = hashlib.sha256()
    size = 0
    if Path(path).is_dir():
        for member in map(file_record, sorted(Path(path).iterdir())):
            digest.update(f"{member['sha256']}  {Path(str(member['path'])).name}\n".encode())
            size += int(str(member["bytes"]))
        return {"path": str(path), "bytes": size, "sha256": digest.hexdigest()}
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return {"path": str(path), "bytes": size, "sha256": digest.hexdigest()}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers; absent ones are left out."""
    found = {"python": platform.python_version()}
    for package in ("biomedgpt-fairseq", *_PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def command_line(arguments: Sequence[str]) -> str:
    """The command as it can be pasted into a shell."""
    program, *rest = arguments
    return shlex.join([Path(program).name, *rest])
