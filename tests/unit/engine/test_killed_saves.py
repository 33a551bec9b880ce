"""Whatever moment a process dies at, on whatever disk: the last checkpoint is there and whole."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from fairseq_compat import atomic_save, checksum
from fairseq_compat.atomic_save import copy_file, save_object
from fairseq_compat.safe_load import load

ENGINE = Path(atomic_save.__file__).parents[1]
KILLS = 24


def save_on_and_on(folder: Path, first: int) -> None:
    """Save as fairseq does: under an own name, then as a copy."""
    for number in range(first, first + 10_000):
        state = {"model": {"w": torch.full((20_000,), float(number))}, "number": number}
        save_object(state, str(folder / "checkpoint_1_2.pt"))
        copy_file(str(folder / "checkpoint_1_2.pt"), str(folder / "checkpoint_last.pt"))


def number_in(path: Path) -> int:
    """The saved number; every byte has been checked."""
    assert checksum.check(str(path))
    state = load(path)
    assert state["model"]["w"].eq(state["number"]).all()
    return int(state["number"])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_at_random_instants_the_last_checkpoint_is_whole(tmp_path):
    save_object({"model": {"w": torch.zeros(20_000)}, "number": 0}, str(tmp_path / "a.pt"))
    copy_file(str(tmp_path / "a.pt"), str(tmp_path / "checkpoint_last.pt"))
    chance, reached = random.Random(5), 0
    for _ in range(KILLS):
        child = os.fork()
        if child == 0:
            try:
                save_on_and_on(tmp_path, reached + 1)
            finally:
                os._exit(1)
        time.sleep(chance.uniform(0.002, 0.2))
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        last = number_in(tmp_path / "checkpoint_last.pt")
        assert last >= reached
        if (tmp_path / "checkpoint_previous.pt").exists():
            assert last - 2 <= number_in(tmp_path / "checkpoint_previous.pt") <= last
        reached = last
    assert reached > KILLS // 3
    assert len(list(tmp_path.iterdir())) <= 12  # no heap of temporary files


def mounted(folder: Path, size: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB of its own."""
    if not mounted(tmp_path, "1m"):
        pytest.skip("this user may not mount a small disk")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def failed_save(folder: Path) -> str:
    """Message of an attempt to save two hundred thousand numbers in another process."""
    code = (
        "import sys, torch\n"
        "from fairseq_compat.atomic_save import save_object\n"
        "try:\n"
        "    save_object({'w': torch.zeros(200_000)}, sys.argv[1])\n"
        "except OSError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", code, str(folder / "checkpoint_last.pt")]
    environment = {**os.environ, "PYTHONPATH": str(ENGINE)}
    return subprocess.run(command, capture_output=True, text=True, env=environment).stdout


def test_full_disk_is_named_and_leaves_the_old_checkpoint(small_disk):
    last = small_disk / "checkpoint_last.pt"
    save_object({"w": torch.zeros(100_000)}, str(last))
    before = last.read_bytes()
    assert "No space left on device" in failed_save(small_disk)
    assert last.read_bytes() == before and checksum.check(str(last))
    assert not list(small_disk.glob("*.tmp"))


def test_disk_that_fills_up_at_the_sum_leaves_the_old_checkpoint(small_disk):
    last = small_disk / "checkpoint_last.pt"
    save_object({"w": torch.zeros(1000)}, str(last))
    before = last.read_bytes()
    with pytest.raises(OSError, match="No space left on device"):
        for number in range(300):  # entries of a folder take memory, too
            save_object({"w": torch.zeros(1000)}, str(small_disk / f"checkpoint{number}.pt"))
    assert last.read_bytes() == before and checksum.check(str(last))
    for path in small_disk.glob("checkpoint*.pt"):
        assert checksum.check(str(path))
    assert not list(small_disk.glob("*.tmp"))


def test_read_only_disk_is_named_and_leaves_the_old_checkpoint(small_disk):
    last = small_disk / "checkpoint_last.pt"
    save_object({"w": torch.zeros(1000)}, str(last))
    before = last.read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert "Read-only file system" in failed_save(small_disk)
    assert last.read_bytes() == before and checksum.check(str(last))
