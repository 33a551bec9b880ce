"""The build backend, on a made-up stock wheel: no network, no compiler."""

import base64
import csv
import hashlib
import io
import subprocess
import zipfile
from pathlib import Path

import backend
import pytest

STOCK = "fairseq-0.12.2-cp311-cp311-linux_x86_64.whl"


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    path = tmp_path / STOCK
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("fairseq/__init__.py", "__version__ = '0.12.2'\n")
        info = "fairseq-0.12.2.dist-info"
        wheel.writestr(f"{info}/METADATA", "Name: fairseq\nRequires-Dist: torchaudio\n")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\n")
        wheel.writestr(f"{info}/LICENSE", "MIT")
        wheel.writestr(f"{info}/RECORD", "old")
    return path


@pytest.fixture
def contents(stock: Path, tmp_path: Path) -> dict[str, bytes]:
    target = tmp_path / "out.whl"
    backend.repackage(stock, target)
    with zipfile.ZipFile(target) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


def test_stock_files_are_unchanged(contents):
    assert contents["fairseq/__init__.py"] == b"__version__ = '0.12.2'\n"
    assert contents[f"{backend.DIST_INFO}/LICENSE"] == b"MIT"


def test_metadata_names_current_requirements(contents):
    text = contents[f"{backend.DIST_INFO}/METADATA"].decode()
    assert "Version: 0.12.2+compat." in text
    assert "Requires-Dist: omegaconf>=2.3,<2.4" in text
    assert "torchaudio" not in text


def test_torch_is_bounded_below_and_not_pinned():
    assert [r for r in backend.REQUIRES if r.startswith("torch")] == ["torch>=2.2"]


def test_adapter_and_hook_are_in_the_wheel(contents):
    assert b"fairseq_compat_hook.install()" in contents["fairseq_compat.pth"]
    assert {"fairseq_compat_hook.py", "fairseq_compat/finder.py"} <= set(contents)
    assert "backend.py" not in contents
    assert not [name for name in contents if "__pycache__" in name]


def test_record_lists_every_file_with_its_hash(contents):
    record = contents.pop(f"{backend.DIST_INFO}/RECORD").decode()
    rows = {name: (digest, size) for name, digest, size in csv.reader(io.StringIO(record))}
    assert rows.pop(f"{backend.DIST_INFO}/RECORD") == ("", "")
    assert set(rows) == set(contents)
    for name, (digest, size) in rows.items():
        data = contents[name]
        wanted = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        assert (digest, size) == (f"sha256={wanted}", str(len(data)))


def test_same_stock_wheel_gives_the_same_bytes(stock, tmp_path):
    backend.repackage(stock, tmp_path / "a.whl")
    backend.repackage(stock, tmp_path / "b.whl")
    assert (tmp_path / "a.whl").read_bytes() == (tmp_path / "b.whl").read_bytes()


def test_prepared_metadata_is_that_of_the_wheel(tmp_path, contents):
    name = backend.prepare_metadata_for_build_wheel(str(tmp_path))
    prepared = (tmp_path / name / "METADATA").read_bytes()
    assert prepared == contents[f"{backend.DIST_INFO}/METADATA"]


class Installer:
    """Takes the place of subprocess.run; fails as long as `fails` tells it to."""

    def __init__(self, stock: Path, fails: int) -> None:
        self.stock, self.fails = stock, fails
        self.calls: list[tuple[list[str], dict[str, str]]] = []

    def __call__(self, command, env, check):
        self.calls.append((command, env))
        if len(self.calls) <= self.fails:
            return subprocess.CompletedProcess(command, 1)
        folder = Path(command[command.index("--wheel-dir") + 1])
        (folder / STOCK).write_bytes(self.stock.read_bytes())
        return subprocess.CompletedProcess(command, 0)


def test_release_is_checked_by_hash_and_built_from_source(stock, tmp_path, monkeypatch):
    installer = Installer(stock, fails=0)
    monkeypatch.setattr(subprocess, "run", installer)
    name = backend.build_wheel(str(tmp_path))
    assert name == f"fairseq-{backend.VERSION}-cp311-cp311-linux_x86_64.whl"
    assert (tmp_path / name).is_file()
    ((command, environment),) = installer.calls
    assert {"--require-hashes", "--no-deps", "--no-binary"} <= set(command)
    assert "READTHEDOCS" not in environment


def test_without_a_compiler_it_builds_without_extensions(stock, tmp_path, monkeypatch, capsys):
    installer = Installer(stock, fails=1)
    monkeypatch.setattr(subprocess, "run", installer)
    backend.build_wheel(str(tmp_path))
    command, environment = installer.calls[1]
    assert environment["READTHEDOCS"] == "1"
    # Else a later install, with a compiler, would find the wheel without extensions in the cache.
    assert "--no-cache-dir" in command
    assert "is there a compiler?" in capsys.readouterr().err


def test_when_nothing_works_the_error_mentions_the_network(stock, tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", Installer(stock, fails=2))
    with pytest.raises(RuntimeError, match="must reach the Python package index"):
        backend.build_wheel(str(tmp_path))
