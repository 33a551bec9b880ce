"""Every command that writes files writes the same bytes in another folder and another process."""

import subprocess
import sys

import file_commands
import pytest
import torch
from e2e_commands import ROOT, environment


@pytest.fixture
def switches(monkeypatch):
    """What --deterministic switches on is off again afterwards."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = False


@pytest.mark.slow
def test_commands_write_the_same_bytes_again(tmp_path, monkeypatch, switches):
    paths = [str(ROOT), str(ROOT / "engine"), str(ROOT / "tests" / "e2e")]
    settings = environment(PYTHONHASHSEED="1", PYTHONPATH=":".join(paths))
    (tmp_path / "there").mkdir()
    other = subprocess.Popen(
        [sys.executable, file_commands.__file__],
        cwd=tmp_path / "there",
        env=settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    file_commands.run_all()
    _, errors = other.communicate(timeout=120)
    assert other.returncode == 0, errors[-2000:]
    here = file_commands.contents()
    monkeypatch.chdir(tmp_path / "there")
    there = file_commands.contents()
    assert here.keys() == there.keys() and len(here) > 80
    assert [name for name in here if here[name] != there[name]] == []
