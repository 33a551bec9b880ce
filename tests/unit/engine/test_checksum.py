"""Checksums beside checkpoints: written with them, found wrong when a bit changes."""

import os
import subprocess
from pathlib import Path

import pytest
import torch
from fairseq_compat import checksum
from fairseq_compat.atomic_save import copy_file, save_object
from fairseq_compat.checksum import ChecksumError
from fairseq_compat.safe_load import load


def flip_bit(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 16
    path.write_bytes(content)


def saved(folder: Path, name: str = "checkpoint_last.pt", value: float = 1.0) -> Path:
    save_object({"model": {"w": torch.full((300,), value)}}, str(folder / name))
    return folder / name


def test_sum_is_the_one_of_sha256sum(tmp_path):
    path = saved(tmp_path)
    copy_file(str(path), str(tmp_path / "copy.pt"))
    sums = [f"{path.name}.sha256", "copy.pt.sha256"]
    done = subprocess.run(["sha256sum", "--check", "--strict", *sums], cwd=tmp_path)
    assert done.returncode == 0
    assert checksum.check(str(path))


def test_every_changed_bit_is_found(tmp_path):
    path = saved(tmp_path)
    for position in range(0, path.stat().st_size, 97):
        flip_bit(path, position)
        with pytest.raises(ChecksumError, match=r"checkpoint_last\.pt.*was damaged, or replaced"):
            load(path)
        flip_bit(path, position)
    assert torch.equal(load(path)["model"]["w"], torch.ones(300))


def test_open_file_is_checked_too(tmp_path):
    path = saved(tmp_path)
    flip_bit(path, 400)
    with path.open("rb") as file, pytest.raises(ChecksumError):
        load(file)


def test_file_cut_off_is_found(tmp_path):
    path = saved(tmp_path)
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(ChecksumError):
        load(path)


def test_file_without_a_sum_is_loaded(tmp_path):
    path = saved(tmp_path)
    Path(f"{path}.sha256").unlink()
    assert not checksum.check(str(path))
    assert load(path)["model"]["w"].sum() == 300


def test_another_checkpoint_of_the_folder_is_sound_under_the_last_ones_name(tmp_path):
    first, last = saved(tmp_path, "checkpoint_1_2.pt", 2.0), saved(tmp_path)
    last.write_bytes(first.read_bytes())
    assert load(last)["model"]["w"][0] == 2


def test_sum_is_right_at_every_moment_of_a_replacement(tmp_path, monkeypatch):
    saved(tmp_path)
    states = []
    stock = os.replace

    def observed(source, target):
        states.append(checksum.check(str(tmp_path / "checkpoint_last.pt")))
        stock(source, target)
        states.append(checksum.check(str(tmp_path / "checkpoint_last.pt")))

    monkeypatch.setattr(os, "replace", observed)
    saved(tmp_path, value=5.0)
    assert len(states) >= 6 and all(states)
    assert len(checksum.recorded(str(tmp_path / "checkpoint_last.pt"))) == 1


def test_removal_takes_the_sum_along(tmp_path):
    checksum.remove(str(saved(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_last_but_one_stays(tmp_path):
    for value in (1.0, 2.0, 3.0):
        saved(tmp_path, value=value)
    previous = tmp_path / "checkpoint_previous.pt"
    assert load(previous)["model"]["w"][0] == 2 and checksum.check(str(previous))
    assert load(tmp_path / "checkpoint_last.pt")["model"]["w"][0] == 3
    assert not list(tmp_path.glob("*.tmp"))


def test_last_but_one_stays_without_a_sum_of_an_older_version(tmp_path):
    last = saved(tmp_path)
    Path(f"{last}.sha256").unlink()
    saved(tmp_path, value=2.0)
    assert load(tmp_path / "checkpoint_previous.pt")["model"]["w"][0] == 1
    assert not (tmp_path / "checkpoint_previous.pt.sha256").exists()


def test_folder_of_a_process_killed_between_the_two_names_goes_on(tmp_path):
    last, previous = saved(tmp_path), tmp_path / "checkpoint_previous.pt"
    os.link(last, previous)
    os.link(last, f"{previous}.tmp")
    saved(tmp_path, value=2.0)
    saved(tmp_path, value=3.0)
    assert load(previous)["model"]["w"][0] == 2
    assert not list(tmp_path.glob("*.tmp"))


def test_last_but_one_is_copied_where_a_file_has_one_name_only(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    saved(tmp_path)
    saved(tmp_path, value=2.0)
    assert load(tmp_path / "checkpoint_previous.pt")["model"]["w"][0] == 1
