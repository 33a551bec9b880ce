"""The short forms of the soak tests; killed_training.py and leaks.py have the long ones."""

from pathlib import Path

import pytest

pytest.importorskip("fairseq")

from tests.soak.killed_training import run_soak
from tests.soak.leaks import Sample, faults, run_leak_test


@pytest.mark.slow
def test_run_that_is_killed_twice_repeats_the_unbroken_run(tmp_path: Path) -> None:
    # With this seed the kills come soon behind updates 6 and 9: a checkpoint is resumed twice.
    soak = run_soak(tmp_path / "soak", kills=2, updates=14, seed=77)
    assert soak.kills == 2
    # Each update at least once, with the losses of both groups of batches.
    assert soak.losses >= 3 * 14
    assert soak.checkpoints > 0
    assert soak.largest == 0


@pytest.mark.slow
def test_no_file_stays_open_behind_steps_checkpoints_and_predictions(tmp_path: Path) -> None:
    runs = run_leak_test(tmp_path, steps=60, predictions=60)
    assert [runs[name][-1].done for name in ("train", "predict")] == [60, 60]
    # Up to the first validation there are more to open, and memory is not yet what it will be.
    assert [faults(name, runs[name], limit=0.15, warm_up=0.5) for name in runs] == [[], []]


def test_growth_is_told() -> None:
    def samples(memory: float, files: int, shared: int) -> list[Sample]:
        return [
            Sample(1, 100.0, 5, 0),
            Sample(20, 200.0, 9, 4),
            Sample(55, 200 + memory, 9 + files, 4 + shared),
            Sample(100, 200.0, 9, 4),
        ]

    assert faults("train", samples(5.9, 0, 6), limit=0.03) == []
    (told,) = faults("train", samples(6.1, 0, 0), limit=0.03)
    assert told == "train: memory grew from 200 to 206 MB"
    assert faults("train", samples(0, 1, 0), 0.03) == ["train: open files grew from 9 to 10"]
    assert faults("train", samples(0, 0, 7), 0.03) == ["train: open shared grew from 4 to 11"]
