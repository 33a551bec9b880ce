"""Saving: whole or not at all, also on a full disk."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fairseq_compat import atomic_save
from fairseq_compat.atomic_save import copy_file, save_object, write_temporary

ENGINE = Path(atomic_save.__file__).parents[1]


def run_with_small_disk(code: str) -> str:
    """Output of code in a process whose files may not exceed 1 MiB."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
    environment = {**os.environ, "PYTHONPATH": str(ENGINE)}
    command = [sys.executable, "-c", limit + code]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_full_disk_raises_the_systems_reason_and_leaves_nothing(tmp_path):
    path = tmp_path / "checkpoint.pt"
    out = run_with_small_disk(
        "import torch\n"
        "from fairseq_compat.atomic_save import save_object\n"
        "try:\n"
        f"    save_object({{'a': torch.zeros(1 << 20)}}, {str(path)!r})\n"
        "except OSError as error:\n"
        "    print(error)\n"
    )
    assert out.strip() == f"[Errno {errno.EFBIG}] File too large: '{path}.tmp'"
    assert list(tmp_path.iterdir()) == []


def test_full_disk_during_a_copy_keeps_the_old_file(tmp_path):
    source, target = tmp_path / "checkpoint1.pt", tmp_path / "checkpoint_last.pt"
    source.write_bytes(b"n" * (3 << 20))
    target.write_bytes(b"old")
    out = run_with_small_disk(
        "from fairseq_compat.atomic_save import copy_file\n"
        "try:\n"
        f"    copy_file({str(source)!r}, {str(target)!r})\n"
        "except OSError as error:\n"
        "    print(error.errno)\n"
    )
    assert out.strip() == str(errno.EFBIG)
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint1.pt", target.name]


def test_copy_has_the_content_and_replaces(tmp_path):
    source, target = tmp_path / "a.pt", tmp_path / "b.pt"
    source.write_bytes(b"new")
    target.write_bytes(b"old and longer")
    assert copy_file(str(source), str(target)) == str(target)
    assert target.read_bytes() == b"new"
    assert not (tmp_path / "b.pt.tmp").exists()


def test_saved_object_is_complete(tmp_path):
    save_object({"a": torch.arange(5)}, str(tmp_path / "x"))
    assert torch.load(tmp_path / "x")["a"].tolist() == [0, 1, 2, 3, 4]


def test_retry_starts_from_an_empty_file(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_save.time, "sleep", lambda seconds: None)
    attempts = []
    stock = torch.save

    def fails_once(obj, file):
        attempts.append(obj)
        if len(attempts) == 1:
            file.write(b"half a file")
            raise OSError(errno.EIO, "Input/output error")
        stock(obj, file)

    monkeypatch.setattr(torch, "save", fails_once)
    save_object([1, 2], str(tmp_path / "x"))
    assert len(attempts) == 2
    assert (tmp_path / "x").read_bytes()[:2] == b"PK"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_retry_on_a_full_disk(tmp_path, monkeypatch, number):
    attempts = []

    def fails(obj, file):
        attempts.append(obj)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(OSError, match="checkpoint.pt.tmp"):
        save_object({}, str(tmp_path / "checkpoint.pt"))
    assert len(attempts) == 1


def test_interruption_removes_the_temporary_file(tmp_path):
    def interrupted(file):
        file.write(b"x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_temporary(interrupted, str(tmp_path / "x"))
    assert list(tmp_path.iterdir()) == []


def test_error_without_a_system_reason_is_raised_as_it_is(tmp_path):
    def fails(file):
        raise TypeError("cannot pickle")

    with pytest.raises(TypeError, match="cannot pickle"):
        write_temporary(fails, str(tmp_path / "x"))
