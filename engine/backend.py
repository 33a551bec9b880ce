"""PEP 517 backend: the official fairseq 0.12.2 sources with current requirements and the adapter.

fairseq's own metadata asks for omegaconf < 2.1, whose only releases pip >= 24.1 refuses as invalid,
and for torchaudio.  No installer lets a project replace the requirements of another, so this folder
is a project named fairseq: it builds the unchanged source release, whose hash is fixed below, and
writes the wheel again with other requirements and with `fairseq_compat`.  The version's local label
says so; `fairseq.__version__` stays 0.12.2.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

UPSTREAM = "0.12.2"
VERSION = f"{UPSTREAM}+compat.1"
SDIST_SHA256 = "34f1b18426bf3844714534162f065ab733e049597476daa35fffb4d06a92b524"
REQUIRES = (
    "torch>=2.2",
    "numpy>=1.26",
    "hydra-core>=1.3.2,<1.4",
    "omegaconf>=2.3,<2.4",
    "sacrebleu>=2.3",
    "regex",
    "tqdm",
    "cffi",
    "bitarray",
    "packaging",
)
HERE = Path(__file__).resolve().parent
DIST_INFO = f"fairseq-{VERSION}.dist-info"
# Any fixed date: the same input gives the same wheel.
_DATE = (2022, 6, 27, 0, 0, 0)
_Settings = Mapping[str, object] | None


def metadata() -> str:
    """The METADATA file of the wheel."""
    lines = [
        "Metadata-Version: 2.1",
        "Name: fairseq",
        f"Version: {VERSION}",
        "Summary: fairseq 0.12.2, sources unchanged, with current requirements and an adapter",
        "License: MIT",
        "Requires-Python: >=3.11",
        *(f"Requires-Dist: {requirement}" for requirement in REQUIRES),
    ]
    return "\n".join(lines) + "\n"


def adapter_files() -> Iterator[tuple[str, bytes]]:
    """Name in the wheel and content of each file of the adapter."""
    for pattern in ("fairseq_compat.pth", "fairseq_compat_hook.py", "fairseq_compat/*.py"):
        for path in sorted(HERE.glob(pattern)):
            yield path.relative_to(HERE).as_posix(), path.read_bytes()


def get_requires_for_build_wheel(config_settings: _Settings = None) -> list[str]:
    """Nothing beyond pyproject.toml."""
    return []


def get_requires_for_build_editable(config_settings: _Settings = None) -> list[str]:
    """Nothing beyond pyproject.toml."""
    return []


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: _Settings = None
) -> str:
    """Write the dist-info folder without building: resolution is then a matter of milliseconds."""
    folder = Path(metadata_directory, DIST_INFO)
    folder.mkdir()
    (folder / "METADATA").write_text(metadata())
    (folder / "WHEEL").write_text(
        "Wheel-Version: 1.0\nGenerator: fairseq-compat\nRoot-Is-Purelib: false\nTag: py3-none-any\n"
    )
    return DIST_INFO


def build_wheel(
    wheel_directory: str,
    config_settings: _Settings = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the official release and write its wheel again; returns the file name."""
    with tempfile.TemporaryDirectory() as folder:
        stock = build_stock_wheel(Path(folder))
        name = stock.name.replace(f"fairseq-{UPSTREAM}-", f"fairseq-{VERSION}-")
        repackage(stock, Path(wheel_directory, name))
    return name


def build_stock_wheel(folder: Path) -> Path:
    """Wheel of the unchanged, hash-checked release; without compiled modules if need be."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"fairseq=={UPSTREAM} --hash=sha256:{SDIST_SHA256}\n")
    command = [sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-build-isolation", "--no-binary", "fairseq", "--require-hashes"]
    command += ["--requirement", str(requirement), "--wheel-dir", str(folder)]
    environment = dict(os.environ)
    if subprocess.run(command, env=environment, check=False).returncode != 0:
        print(
            "fairseq: the C++ modules could not be built (is there a compiler?); "
            "trying again without them, numpy versions take their place",
            file=sys.stderr,
        )
        environment["READTHEDOCS"] = "1"  # the release's own switch for "no extensions"
        command.append("--no-cache-dir")  # or pip would offer this wheel once there is a compiler
        if subprocess.run(command, env=environment, check=False).returncode != 0:
            raise RuntimeError(
                f"could not download or build fairseq {UPSTREAM}; the messages above say why. "
                "pip must reach the Python package index while this is installed"
            )
    return next(folder.glob(f"fairseq-{UPSTREAM}-*.whl"))


def repackage(stock: Path, target: Path) -> None:
    """Copy a wheel with other metadata, the adapter's files and a new RECORD."""
    old_info = f"fairseq-{UPSTREAM}.dist-info"
    with (
        zipfile.ZipFile(stock) as source,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as wheel,
    ):
        contents = {
            name.replace(old_info, DIST_INFO, 1): source.read(name)
            for name in source.namelist()
            if not name.endswith("/") and name != f"{old_info}/RECORD"
        }
        contents[f"{DIST_INFO}/METADATA"] = metadata().encode()
        contents.update(adapter_files())
        for name, data in contents.items():
            _write(wheel, name, data)
        _write(wheel, f"{DIST_INFO}/RECORD", record(contents).encode())


def record(contents: Mapping[str, bytes]) -> str:
    """The RECORD file: path, hash and size of every file, none for itself."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for name, data in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        writer.writerow([name, f"sha256={digest}", len(data)])
    writer.writerow([f"{DIST_INFO}/RECORD", "", ""])
    return out.getvalue()


def _write(wheel: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    wheel.writestr(entry, data)


def build_sdist(sdist_directory: str, config_settings: _Settings = None) -> str:
    """Refused: the project is installed from a clone."""
    raise RuntimeError("fairseq with the adapter is installed from the engine folder only")
