"""Rows of docs/results.md from finished runs: metric, floors, memorised rows, time.

    python -m benchmarks.result_table runs/real/meqsum runs/real/rqe

A run is a folder that benchmarks/real_data.sh wrote: results/, memory/results_train/, floors.json
and seconds.txt (wall, user, system); where one is missing its cell is empty. With --folds NAME the
runs are the folds of one cross-validation: one row, over the test rows of all.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from biomedgpt_fairseq.metrics.bootstrap import intervals, mean_metric
from biomedgpt_fairseq.text.normalize import pre_caption

MAIN_METRIC = {"gigaword": "rougeL F1", "caption": "rougeL F1", "mnli": "acc"}
"""By task; elsewhere the first metric of the file."""


def read_predictions(path: Path) -> list[dict[str, Any]]:
    """Lines of a predictions.jsonl."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def exact_match(predictions: Path) -> float:
    """Share of rows whose answer is the gold text, in the form in which tasks read texts."""
    rows = read_predictions(predictions)
    return sum(pre_caption(row["answer"]) == pre_caption(row["gold"]) for row in rows) / len(rows)


def main_metric(results: Path) -> tuple[str, Mapping[str, Any]]:
    """Name and values of the metric that the table shows."""
    found = json.loads((results / "metrics.json").read_text("utf-8"))
    metrics: dict[str, Mapping[str, Any]] = found["metrics"]
    name = MAIN_METRIC.get(found["task"], next(iter(metrics)))
    return name, metrics[name]


def read_floors(run: Path, name: str) -> dict[str, float]:
    """The metric of each baseline; empty where they were not computed."""
    if not (run / "floors.json").is_file():
        return {}
    kinds = json.loads((run / "floors.json").read_text("utf-8"))
    return {kind: metrics[name]["value"] for kind, metrics in kinds.items()}


def read_clock(run: Path) -> tuple[float, float] | None:
    """CPU and wall seconds of a run."""
    if not (run / "seconds.txt").is_file():
        return None
    wall, user, system = map(float, (run / "seconds.txt").read_text("utf-8").split())
    return user + system, wall


def table_row(run: Path) -> list[str]:
    """Cells: run, metric, rows, value with interval, floors, memorised, CPU and wall minutes."""
    name, found = main_metric(run / "results")
    memory = run / "memory" / "results_train" / "predictions.jsonl"
    exact = f"{exact_match(memory):.3f}" if memory.is_file() else ""
    value = _with_interval(found["value"], found["low"], found["high"])
    clock = [f"{seconds / 60:.1f}" for seconds in read_clock(run) or ()] or ["", ""]
    floors = _listed(read_floors(run, name))
    return [run.name, name, str(found["rows"]), value, floors, exact, *clock]


def pooled_row(name: str, runs: Sequence[Path]) -> list[str]:
    """Cells as of `table_row`, over the rows of all folds; the metric is the share of right ones.

    Memorised rows are those of the first fold.
    """
    folds = [read_predictions(run / "results" / "predictions.jsonl") for run in runs]
    correct = [float(row["correct"]) for fold in folds for row in fold]
    value, low, high = intervals([mean_metric(name, correct)], seed=1)[0]
    first = table_row(runs[0])
    floors: dict[str, float] = {}
    for run, fold in zip(runs, folds, strict=True):
        for kind, floor in read_floors(run, first[1]).items():
            floors[kind] = floors.get(kind, 0.0) + floor * len(fold) / len(correct)
    clocks = [read_clock(run) or (0.0, 0.0) for run in runs]
    clock = [f"{sum(seconds) / 60:.1f}" for seconds in zip(*clocks, strict=True)]
    cells = [name, first[1], str(len(correct)), _with_interval(value, low, high)]
    return [*cells, _listed(floors), first[5], *clock]


def _with_interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _listed(floors: Mapping[str, float]) -> str:
    return ", ".join(f"{kind} {value:.3f}" for kind, value in floors.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.result_table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished runs")
    parser.add_argument("--folds", metavar="NAME", help="one row over all runs, named NAME")
    args = parser.parse_args(arguments)
    header = ["run", "metric", "rows", "value", "floors", "memorised", "CPU min", "wall min"]
    rows = [pooled_row(args.folds, args.runs)] if args.folds else map(table_row, args.runs)
    for row in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(row) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
