"""Training whose optimizer state is shared by two processes, and its checkpoints."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from e2e_commands import (
    Corpus,
    largest_difference,
    num_updates,
    read_checkpoint,
    run_workers,
    train_command,
    train_here,
)

pytestmark = pytest.mark.slow

SHARDED = ["--zero-sharding", "os"]


def _command(corpus: Corpus, save_dir: Path, updates: int, *options: str) -> list[str]:
    command = train_command(corpus, "gigaword", save_dir, *options)
    command += ["--batch-size", "1", "--disable-validation", "--no-epoch-checkpoints"]
    command += ["--find-unused-parameters", "--lr-scheduler", "fixed"]
    return [*command, "--max-update", str(updates), "--distributed-world-size"]


def test_sharded_training_equals_plain_training_and_shares_its_checkpoints(
    corpus: Corpus, tmp_path: Path
) -> None:
    """From a checkpoint of plain training, and on from its own in a process that shares nothing."""
    plain, sharded = tmp_path / "plain", tmp_path / "sharded"
    command = [*_command(corpus, plain, 3, "--save-interval-updates", "2"), "2"]
    assert run_workers(command, 2) == [0, 0]
    sharded.mkdir()
    shutil.copy(plain / "checkpoint_1_2.pt", sharded / "checkpoint_last.pt")
    handler = logging.FileHandler(tmp_path / "log")
    logging.getLogger().addHandler(handler)
    try:
        assert run_workers([*_command(corpus, sharded, 3, *SHARDED), "2"], 2) == [0, 0]
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    text = (tmp_path / "log").read_text("utf-8")
    assert "the optimizer's state is shared by 2 processes" in text
    ends = [read_checkpoint(folder / "checkpoint_last.pt") for folder in (plain, sharded)]
    assert [num_updates(end) for end in ends] == [3, 3]
    for part in ("model", "last_optimizer_state"):
        assert largest_difference(ends[0][part], ends[1][part]) == 0
    train_here([*_command(corpus, sharded, 4, *SHARDED), "1"])
    assert num_updates(read_checkpoint(sharded / "checkpoint_last.pt")) == 4


def test_other_way_of_sharding_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    command = [*_command(corpus, tmp_path, 1, "--ddp-backend", "fully_sharded"), "1"]
    with pytest.raises(ImportError, match="fully_sharded needs fairscale.*--zero-sharding os"):
        train_here(command)
