"""Rows of docs/results.md from finished runs: metric, floors, memorised rows, time.

    python -m benchmarks.result_table runs/real/meqsum runs/real/rqe

A run is a folder that benchmarks/real_data.sh wrote: results/, memory/results_train/, floors.json
and seconds.txt (wall, user, system); where one is missing its cell is empty.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from biomedgpt_fairseq.text.normalize import pre_caption

MAIN_METRIC = {"gigaword": "rougeL F1", "caption": "rougeL F1", "mnli": "acc"}
"""By task; elsewhere the first metric of the file."""


def exact_match(predictions: Path) -> float:
    """Share of rows whose answer is the gold text, in the form in which tasks read texts."""
    rows = [json.loads(line) for line in predictions.read_text("utf-8").splitlines()]
    return sum(pre_caption(row["answer"]) == pre_caption(row["gold"]) for row in rows) / len(rows)


def main_metric(results: Path) -> tuple[str, Mapping[str, Any]]:
    """Name and values of the metric that the table shows."""
    found = json.loads((results / "metrics.json").read_text("utf-8"))
    metrics: dict[str, Mapping[str, Any]] = found["metrics"]
    name = MAIN_METRIC.get(found["task"], next(iter(metrics)))
    return name, metrics[name]


def table_row(run: Path) -> list[str]:
    """Cells: run, metric, rows, value with interval, floors, memorised, CPU and wall minutes."""
    name, found = main_metric(run / "results")
    memory, floors, clock = (
        run / "memory" / "results_train" / "predictions.jsonl",
        run / "floors.json",
        run / "seconds.txt",
    )
    floor_text = ""
    if floors.is_file():
        kinds = json.loads(floors.read_text("utf-8"))
        floor_text = ", ".join(f"{kind} {m[name]['value']:.3f}" for kind, m in kinds.items())
    cpu = wall = ""
    if clock.is_file():
        seconds = [float(part) for part in clock.read_text("utf-8").split()]
        wall, cpu = (f"{total / 60:.1f}" for total in (seconds[0], seconds[1] + seconds[2]))
    value = f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
    exact = f"{exact_match(memory):.3f}" if memory.is_file() else ""
    return [run.name, name, str(found["rows"]), value, floor_text, exact, cpu, wall]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.result_table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished runs")
    header = ["run", "metric", "rows", "value", "floors", "memorised", "CPU min", "wall min"]
    rows = [header, ["---"] * len(header)]
    rows += [table_row(run) for run in parser.parse_args(arguments).runs]
    for row in rows:
        print("| " + " | ".join(row) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
