"""Losses that are not finite and gradients that are spikes, in whole training runs."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

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
from fairseq.criterions import register_criterion

from biomedgpt_fairseq import fairseq_bad_updates
from biomedgpt_fairseq.criterions.label_smoothed import (
    LabelSmoothedCriterion,
    LabelSmoothedOptions,
)

# Eight rows: four updates of an epoch, of which the last is spoiled.
RUN = """
    --criterion spoiled --batch-size 2 --max-epoch 1 --disable-validation --lr-scheduler fixed
    --store-ema --ema-decay 0.9 --no-epoch-checkpoints --dropout 0.1
"""


@register_criterion("spoiled", dataclass=LabelSmoothedOptions)
class SpoiledCriterion(LabelSmoothedCriterion):
    """Multiplies the loss of one of the batches that it meets."""

    batch, factor = 0, math.nan
    met: list[list[str]] = []

    def forward(self, model: Any, sample: Any, **options: Any) -> Any:
        loss, size, log = super().forward(model, sample, **options)
        self.met.append(list(map(str, sample["id"])))
        here = len(self.met) == self.batch and os.environ.get("RANK") != "0"
        return (loss * self.factor if here else loss), size, log


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Any:
    def at(batch: int, factor: float) -> list[list[str]]:
        monkeypatch.setattr(SpoiledCriterion, "batch", batch)
        monkeypatch.setattr(SpoiledCriterion, "factor", factor)
        monkeypatch.setattr(SpoiledCriterion, "met", [])
        return SpoiledCriterion.met

    return at


def _command(corpus: Corpus, save_dir: Path, *options: str, task: str = "image_classify") -> Any:
    return train_command(corpus, task, save_dir, *RUN.split(), *options)


@pytest.fixture(scope="module")
def sound(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the run in which nothing happens, with a checkpoint of each update."""
    save_dir = tmp_path_factory.mktemp("sound")
    train_here(_command(corpus, save_dir, "--save-interval-updates", "1"))
    return save_dir


def _assert_same(found: Path, wanted: Path) -> None:
    """Weights, running statistics, averages and optimizer; the data are further."""
    left, right = read_checkpoint(found / "checkpoint_last.pt"), read_checkpoint(wanted)
    assert num_updates(left) == num_updates(right)
    for part in ("model", "last_optimizer_state"):
        assert largest_difference(left[part], right[part]) == 0
    assert largest_difference(*(state["extra_state"]["ema"] for state in (left, right))) == 0
    assert left["extra_state"]["train_iterator"]["epoch"] == 2


@pytest.mark.parametrize(
    ("factor", "reason"),
    [
        (math.nan, "the loss is not finite"),
        (math.inf, "the loss is not finite"),
        (1e4, "times the usual"),
    ],
)
def test_bad_update_is_dropped_with_the_names_of_its_rows(
    corpus: Corpus,
    sound: Path,
    spoil: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    factor: float,
    reason: str,
) -> None:
    monkeypatch.setattr(fairseq_bad_updates, "ENOUGH", 3)
    met = spoil(4, factor)
    options = ["--on-bad-loss", "skip", "--gradient-spike-factor", "100"]
    text = train_here(_command(corpus, tmp_path, *options))
    line = next(line for line in text.split("\n") if "bad_updates" in line)
    assert f"update 4: {reason}" in line or ("update 4: " in line and reason in line)
    assert f"rows on this worker: {', '.join(met[3])}. The update is dropped" in line
    _assert_same(tmp_path, sound / "checkpoint_1_3.pt")
    norms = read_checkpoint(tmp_path / "checkpoint_last.pt")["extra_state"]["gradient_norms"]
    assert len(norms) == 3


def test_rewinding_goes_on_from_the_last_checkpoint_behind_the_rows(
    corpus: Corpus, sound: Path, spoil: Any, tmp_path: Path
) -> None:
    met = spoil(4, math.nan)
    options = ["--on-bad-loss", "rewind", "--save-interval-updates", "2"]
    text = train_here(_command(corpus, tmp_path, *options))
    assert f"{', '.join(met[3])}. Back to update 2, on behind these rows" in text
    _assert_same(tmp_path, sound / "checkpoint_1_2.pt")


def test_run_stops_at_a_bad_loss_unless_told_otherwise(
    corpus: Corpus, sound: Path, spoil: Any, tmp_path: Path
) -> None:
    met = spoil(3, math.nan)
    with pytest.raises(FloatingPointError, match="update 3: the loss is not finite") as stopped:
        train_here(_command(corpus, tmp_path, "--save-interval-updates", "2"))
    assert ", ".join(met[2]) in str(stopped.value)
    assert "--on-bad-loss skip or rewind" in str(stopped.value)
    state = read_checkpoint(tmp_path / "checkpoint_last.pt")
    wanted = read_checkpoint(sound / "checkpoint_1_2.pt")
    assert largest_difference(state["model"], wanted["model"]) == 0


@pytest.mark.slow
def test_all_workers_drop_an_update_that_is_bad_on_one(
    corpus: Corpus, spoil: Any, tmp_path: Path
) -> None:
    """Only the second worker meets a loss that is not finite: its fourth of four rows."""
    command = _command(corpus, tmp_path, task="gigaword")
    command += ["--batch-size", "1", "--on-bad-loss", "skip", "--distributed-world-size", "2"]
    command += ["--find-unused-parameters"]
    spoil(4, math.inf)
    assert run_workers(command, 2) == [0, 0]
    state = read_checkpoint(tmp_path / "checkpoint_last.pt")
    assert num_updates(state) == 3
