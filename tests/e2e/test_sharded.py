"""Training whose optimizer state is shared by two processes, and its checkpoints."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from e2e_commands import (
    Corpus,
    largest_difference,
    losses_by_update,
    num_updates,
    read_checkpoint,
    run_workers,
    train_command,
    train_here,
)
from fairseq.dataclass.configs import FairseqConfig
from fairseq_compat import fully_sharded

pytestmark = pytest.mark.slow

SHARDED = ["--zero-sharding", "os"]
FULLY_SHARDED = ["--ddp-backend", "fully_sharded", "--min-params-to-wrap", "0"]


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


def test_fully_sharded_training_equals_plain_training(corpus: Corpus, tmp_path: Path) -> None:
    """From scratch, on from its own checkpoint and from one of plain training; and back."""
    plain, sharded, alone = (tmp_path / name for name in ("plain", "sharded", "alone"))
    every = ["--save-interval-updates", "1"]
    assert run_workers([*_command(corpus, plain, 4, *every), "2"], 2) == [0, 0]
    for updates in (2, 3):
        command = [*_command(corpus, sharded, updates, *every, *FULLY_SHARDED), "2"]
        assert run_workers(command, 2) == [0, 0]
    wanted, found = losses_by_update(plain), losses_by_update(sharded)
    assert list(found) == [1, 2, 3]
    assert found == {update: pytest.approx(wanted[update], rel=1e-5) for update in found}

    alone.mkdir()
    shutil.copy(sharded / "checkpoint_last.pt", alone)
    shutil.copy(plain / "checkpoint_1_3.pt", sharded / "checkpoint_last.pt")
    (sharded / "checkpoint_last.pt.sha256").unlink(missing_ok=True)
    validated = ["--eval-rouge", "--eval-args", '{"beam": 2, "max_len_b": 12}']
    command = [*_command(corpus, sharded, 4, *FULLY_SHARDED, *validated), "2"]
    command.remove("--disable-validation")
    assert run_workers(command, 2) == [0, 0]
    train_here([*_command(corpus, alone, 4), "1", "--batch-size", "2"])
    ends = [read_checkpoint(path / "checkpoint_last.pt") for path in (plain, sharded, alone)]
    assert [num_updates(end) for end in ends] == [4, 4, 4]
    for part in ("model", "last_optimizer_state"):
        assert largest_difference(ends[0][part], ends[1][part]) < 1e-6
        assert largest_difference(ends[0][part], ends[2][part]) < 1e-5


def test_options_that_fully_sharded_training_cannot_follow_are_named() -> None:
    settings = FairseqConfig()
    fully_sharded.check(settings)
    settings.common.fp16 = settings.ema.store_ema = True
    with pytest.raises(ValueError, match="not go with --fp16, --store-ema; .*--zero-sharding os"):
        fully_sharded.check(settings)
