"""What pretraining brings at each share of the labels: test, paired differences, plot.

    python -m benchmarks.label_fractions runs/label_fractions/questions --svg label_fractions.svg

Reads the networks that benchmarks/label_fractions.sh trained, fine_tuned/START/SHARE/SEED/RATE, and
tests those with the learning rate that was chosen on validation rows.  Differences to training from
scratch are paired by seed (the same labelled rows) and test row; intervals: 95 %, bootstrap over
seeds and test rows together.  With --best-rate START SHARE SEED only the chosen rate is printed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.result_table import read_predictions
from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.report.training_log import read_curves

FULL, SCRATCH = "all", "scratch"
SCORES = ("score", "vqa_score")
"""What classification and question answering call their accuracy."""
DRAWS = 2000
Correct = NDArray[np.float64]
"""(seeds, test rows): 1 where the answer is right."""


class Interval(NamedTuple):
    """A value with the limits of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Arm:
    """All seeds of one start at one share of the labels, with the chosen learning rate."""

    start: str
    share: int
    rate: str
    correct: Correct


def valid_accuracy(run: Path) -> float:
    """What training logged last for the validation rows.  Raises ValueError without such a line."""
    for curve in read_curves(run / "train.log"):
        if curve.split == "valid" and curve.name in SCORES:
            return curve.values[-1]
    raise ValueError(f"{run / 'train.log'} has no validation: did the training end?")


def best_rate(run_dir: Path, start: str, share: int, seed: int) -> str:
    """The learning rate with the best validation accuracy; of equal ones the smaller.

    Raises FileNotFoundError where nothing was trained.
    """
    folder = run_dir / "fine_tuned" / start / str(share) / str(seed)
    runs = sorted(folder.glob("*"), key=lambda run: float(run.name))
    if not runs:
        raise FileNotFoundError(f"no runs in {folder}")
    return max(runs, key=valid_accuracy).name


def test_run(run_dir: Path, run: Path) -> list[float]:
    """Whether each test row is answered rightly (N,); evaluates the run where that is missing."""
    results = run / "results"
    if not (results / "metrics.json").is_file():
        code = biomedgpt(
            ["evaluate", str(run_dir / "labels" / "test.tsv"), "--cpu", "--no-report"]
            + ["--path", str(run / "checkpoint_last.pt"), "--results-path", str(results)]
            + ["--batch-size", "64"]
        )
        if code:
            raise RuntimeError(f"evaluation of {run} ended with status {code}")
    return [float(row["correct"]) for row in read_predictions(results / "predictions.jsonl")]


def read_arms(run_dir: Path) -> list[Arm]:
    """All arms, by share and start.  Networks that lack a kind of rows have the rate of `all`."""
    arms = []
    folders = (run_dir / "fine_tuned").glob("*/*")
    for folder in sorted(folders, key=lambda path: (int(path.name), path.parent.name)):
        start, share = folder.parent.name, int(folder.name)
        seeds = sorted(int(seed.name) for seed in folder.iterdir())
        chooser = SCRATCH if start == SCRATCH else FULL
        rate = best_rate(run_dir, chooser, share, seeds[0])
        correct = [test_run(run_dir, folder / str(seed) / rate) for seed in seeds]
        arms.append(Arm(start, share, rate, np.array(correct)))
    return arms


def mean_interval(values: NDArray[np.float64], seed: int = 1) -> Interval:
    """Mean of (seeds, rows), resampling both; differences of paired arms give a paired interval."""
    generator = np.random.default_rng(seed)
    seeds, rows = values.shape
    picked = (
        generator.multinomial(seeds, np.full(seeds, 1 / seeds), DRAWS) / seeds
    )  # (DRAWS, seeds)
    counts = generator.multinomial(rows, np.full(rows, 1 / rows), DRAWS) / rows
    # Resamples: (DRAWS, seeds) and (DRAWS, rows) -> (DRAWS,)
    means = np.einsum("ds,sr,dr->d", picked, values, counts, optimize=True)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def compare(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """For each arm: accuracy, that of each seed, and the difference to scratch at the same share.

    Networks that lack a kind are also compared with the one that was pretrained on all kinds.
    Raises ValueError where the seeds or rows of a pair are not the same.
    """
    found = {(arm.start, arm.share): arm for arm in arms}
    rows = []
    for arm in arms:
        row: dict[str, Any] = {"start": arm.start, "share": arm.share, "rate": arm.rate}
        row["accuracy"] = mean_interval(arm.correct)
        row["seeds"] = arm.correct.mean(axis=1).tolist()
        for other in (SCRATCH, FULL):
            base = found.get((other, arm.share))
            if base is None or arm.start in (SCRATCH, other):
                continue
            if base.correct.shape != arm.correct.shape:
                raise ValueError(f"{arm.start} and {other} have other seeds at {arm.share} %")
            row[f"minus {other}"] = mean_interval(arm.correct - base.correct)
        rows.append(row)
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """The table in Markdown."""
    print("| labels | start | learning rate | accuracy | minus scratch | minus all kinds |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        differences = [_cell(row.get(f"minus {other}"), "+.3f") for other in (SCRATCH, FULL)]
        cells = [f"{row['share']} %", row["start"], row["rate"], _cell(row["accuracy"], ".3f")]
        print("| " + " | ".join([*cells, *differences]) + " |")


def _cell(interval: Interval | None, form: str) -> str:
    if interval is None:
        return ""
    value, low, high = (format(number, form) for number in interval)
    return f"{value} [{low}, {high}]"


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Accuracy against the share of the labels, and what is lost without each kind."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    curves, bars = figure.subplots(1, 2)
    for start in (FULL, SCRATCH):
        mine = [row for row in rows if row["start"] == start]
        shares, found = [row["share"] for row in mine], [row["accuracy"] for row in mine]
        errors = [[i.value - i.low for i in found], [i.high - i.value for i in found]]
        label = "pretrained" if start == FULL else "from scratch"
        curves.errorbar(
            shares, [i.value for i in found], errors, marker="o", capsize=3, label=label
        )
    curves.set(xscale="log", xlabel="labels used, %", ylabel="test accuracy", ylim=(0, 1))
    curves.set_xticks([1, 10, 100], ["1", "10", "100"])
    curves.legend()
    fewest = min(row["share"] for row in rows)
    mine = [row for row in rows if row["share"] == fewest]
    names = [row["start"].replace("_train", " pairs").replace("_", " ") for row in mine]
    found = [row["accuracy"] for row in mine]
    errors = [[i.value - i.low for i in found], [i.high - i.value for i in found]]
    bars.barh(names, [i.value for i in found], xerr=errors, capsize=3)
    bars.invert_yaxis()
    bars.set(title=f"pretraining, at {fewest} % of the labels", xlabel="test accuracy")
    figure.savefig(path, format="svg", metadata={"Date": None})


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.label_fractions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_dir", type=Path, help="RUN_DIR/TARGET of label_fractions.sh")
    parser.add_argument("--best-rate", nargs=3, metavar=("START", "SHARE", "SEED"))
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--svg", type=Path, help="file for the plot")
    args = parser.parse_args(arguments)
    if args.best_rate:
        start, share, seed = args.best_rate
        print(best_rate(args.run_dir, start, int(share), int(seed)))
        return 0
    rows = compare(read_arms(args.run_dir))
    show(rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    if args.svg:
        draw(rows, args.svg)
    return 0


if __name__ == "__main__":
    sys.exit(main())
