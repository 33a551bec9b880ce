"""Paired differences to training from scratch, and the choice of the learning rate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.label_fractions import (
    Arm,
    best_rate,
    compare,
    main,
    mean_interval,
    read_arms,
)

ROWS = 40


def make_run(folder: Path, valid: float, correct: list[float]) -> None:
    """A fine-tuned and tested network, as the script leaves it."""
    (folder / "results").mkdir(parents=True)
    logged = {"epoch": 8, "valid_score": str(valid), "valid_num_updates": "10"}
    (folder / "train.log").write_text(json.dumps(logged) + "\n")
    (folder / "results" / "metrics.json").write_text("{}")
    lines = [json.dumps({"correct": right}) + "\n" for right in correct]
    (folder / "results" / "predictions.jsonl").write_text("".join(lines))


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    tuned = tmp_path / "fine_tuned"
    wrong, right = [0.0] * ROWS, [1.0] * ROWS
    make_run(tuned / "all" / "1" / "1" / "3e-4", 0.5, wrong)
    make_run(tuned / "all" / "1" / "1" / "1e-3", 0.7, right)
    make_run(tuned / "all" / "1" / "2" / "1e-3", 0.1, [1.0, 0.0] * (ROWS // 2))
    for seed in (1, 2):
        make_run(tuned / "scratch" / "1" / str(seed) / "3e-4", 0.2, [1.0, 0, 0, 0] * (ROWS // 4))
        make_run(tuned / "without_text" / "1" / str(seed) / "1e-3", 0.2, wrong)
    return tmp_path


def test_the_learning_rate_is_that_of_the_best_validation(run_dir: Path) -> None:
    assert best_rate(run_dir, "all", 1, 1) == "1e-3"
    with pytest.raises(FileNotFoundError, match="no runs"):
        best_rate(run_dir, "all", 10, 1)


def test_of_equal_learning_rates_the_smaller_is_taken(tmp_path: Path) -> None:
    for rate in ("1e-3", "3e-4"):
        make_run(tmp_path / "fine_tuned" / "all" / "1" / "1" / rate, 0.5, [1.0])
    assert best_rate(tmp_path, "all", 1, 1) == "3e-4"


def test_a_run_without_validation_is_named(run_dir: Path) -> None:
    log = run_dir / "fine_tuned" / "all" / "1" / "1" / "1e-3" / "train.log"
    log.write_text("")
    with pytest.raises(ValueError, match="1e-3"):
        best_rate(run_dir, "all", 1, 1)


def test_arms_hold_the_chosen_runs_of_all_seeds(run_dir: Path) -> None:
    full, scratch, without = read_arms(run_dir)
    assert (full.start, scratch.start, without.start) == ("all", "scratch", "without_text")
    assert (full.rate, scratch.rate, without.rate) == ("1e-3", "3e-4", "1e-3")
    assert full.correct.mean(axis=1).tolist() == [1.0, 0.5]


def test_differences_are_paired() -> None:
    base = np.random.default_rng(0).integers(0, 2, (3, 200)).astype(float)
    better = base.copy()
    better[:, :20] = 1.0
    full, scratch = compare([Arm("all", 1, "1e-3", better), Arm("scratch", 1, "1e-3", base)])
    found = full["minus scratch"]
    assert found.value == pytest.approx((better - base).mean())
    # Far narrower than the interval of either accuracy.
    own = scratch["accuracy"]
    assert 0 < found.low < found.value < found.high
    assert found.high - found.low < (own.high - own.low) / 2
    assert "minus scratch" not in scratch and "minus all" not in full


def test_intervals_grow_with_the_spread_of_the_seeds() -> None:
    rows = np.tile([1.0, 0.0], 500)
    same, spread = np.tile(rows, (3, 1)), np.stack([rows, rows, np.zeros(1000)])
    assert np.ptp(mean_interval(spread)[1:]) > 3 * np.ptp(mean_interval(same)[1:])


def test_arms_of_other_seeds_are_refused() -> None:
    arms = [Arm("all", 1, "1", np.ones((2, 4))), Arm("scratch", 1, "1", np.ones((3, 4)))]
    with pytest.raises(ValueError, match="other seeds at 1 %"):
        compare(arms)


def test_the_program_prints_draws_and_keeps_all_figures(run_dir: Path, capsys) -> None:
    files = run_dir / "found.json", run_dir / "plot.svg"
    assert main([str(run_dir), "--json", str(files[0]), "--svg", str(files[1])]) == 0
    shown = capsys.readouterr().out
    assert "| 1 % | all | 1e-3 | 0.750 " in shown and "+0.500 [" in shown
    without = json.loads(files[0].read_text())[2]
    assert without["minus all"][0] == pytest.approx(-0.75)
    assert "<svg" in files[1].read_text()
    assert main([str(run_dir), "--best-rate", "scratch", "1", "1"]) == 0
    assert capsys.readouterr().out == "3e-4\n"
