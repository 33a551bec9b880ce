"""Comparison of the losses of two runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

from benchmarks.loss_curves import compare, main, read_starts


def log(save_dir: Path, part: str, values: dict[int, float], number: int = 0) -> None:
    """One start of a run, with losses by update."""
    folder = save_dir / "tensorboard" / part
    with SummaryWriter(str(folder), filename_suffix=f".{number}") as writer:
        for update, value in values.items():
            writer.add_scalar("loss", value, update)
            writer.add_scalar("loss_v1", value / 2, update)
    (file,) = folder.glob(f"*.{number}")
    os.utime(file, (number, number))


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """Updates 1 to 6; and 1 to 4, then from 3 on, the last of them wrong."""
    log(tmp_path / "whole", "train_inner", {update: 7.0 - update for update in range(1, 7)})
    log(tmp_path / "whole", "valid", {3: 4.0, 6: 3.0})
    log(tmp_path / "killed", "train_inner", {1: 6.0, 2: 5.0, 3: 4.0, 4: 3.0}, 1)
    log(tmp_path / "killed", "train_inner", {3: 4.0, 4: 3.0, 5: 2.0, 6: 1.5}, 2)
    return tmp_path / "whole", tmp_path / "killed"


def test_every_start_is_compared_update_by_update(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run) for run in runs]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "updates 1 to 4: largest difference 0",
        "updates 3 to 6: largest difference 0.5",
        "valid loss: 4.000 at 3, 3.000 at 6",
        "valid loss_v1: 2.000 at 3, 1.500 at 6",
        "2 starts, largest difference of all 0.5",
    ]


def test_update_that_the_unbroken_run_lacks_is_an_error() -> None:
    with pytest.raises(ValueError, match="the unbroken run has no update 7"):
        compare({"loss": {1: 1.0}}, {"loss": {1: 1.0, 7: 1.0}})


def test_run_without_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="train with --tensorboard-logdir"):
        read_starts(tmp_path, "valid")
