"""Ratios of two sides that are timed one after the other in each repetition."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Ratio:
    """What ours needs (seconds, bytes) and what it is compared with needs, per repetition.

    goal: how many times more the other side should need, at least.
    """

    name: str
    ours: list[float]
    compared: list[float]
    goal: float | None = None

    @property
    def ratios(self) -> list[float]:
        """How many times more the other side needs, per repetition."""
        return [b / a for a, b in zip(self.ours, self.compared, strict=True)]

    @property
    def median(self) -> float:
        """Of the ratios."""
        return statistics.median(self.ratios)

    def row(self) -> str:
        """A line of the table: medians, the median ratio with its range, and the goal."""
        spread = f"{self.median:.2f} [{min(self.ratios):.2f}, {max(self.ratios):.2f}]"
        medians = statistics.median(self.ours), statistics.median(self.compared)
        goal = "" if self.goal is None else f"{self.goal:.2f}"
        line = f"{self.name:<64} {medians[0]:>10.4f} {medians[1]:>10.4f}  {spread:<24} {goal}"
        return line.rstrip()


def seconds_of(work: Callable[[], Any]) -> float:
    """Time of the processor that one call takes, which other work on the machine hardly changes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def side_by_side(
    name: str,
    work: Callable[[], Any],
    compared: Callable[[], Any],
    repeats: int,
    goal: float | None = None,
) -> Ratio:
    """Both sides, one after the other in each repetition."""
    pairs = [(seconds_of(work), seconds_of(compared)) for _ in range(repeats)]
    return Ratio(name, [a for a, _ in pairs], [b for _, b in pairs], goal)


def matmul_rate(threads: int, side: int = 1024) -> float:
    """Best of ten products of square matrices, in operations per second of the processor."""
    torch.set_num_threads(threads)
    a, b = torch.randn(2, side, side)
    out = a @ b
    best = torch.inf
    for _ in range(10):
        start = time.process_time()
        torch.mm(a, b, out=out)
        best = min(best, time.process_time() - start)
    return 2 * side**3 / best


def show(ratios: Sequence[Ratio], path: Path | None = None) -> None:
    """Print the table and, if asked to, keep all figures as JSON."""
    print(f"{'medians of A; B':<64} {'A':>10} {'B':>10}  {'B / A [range]':<24} goal")
    for ratio in ratios:
        print(ratio.row())
    if path:
        figures = {r.name: [r.ours, r.compared] for r in ratios}
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def draw(ratios: Sequence[Ratio], path: Path) -> None:
    """Bars of the median ratios with their range, goals as marks, on a logarithmic axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1 + 0.35 * len(ratios)), layout="constrained")
    axis = figure.subplots()
    for place, ratio in enumerate(ratios):
        below, above = ratio.median - min(ratio.ratios), max(ratio.ratios) - ratio.median
        axis.barh(place, ratio.median, xerr=[[below], [above]], color="tab:blue", capsize=3)
        if ratio.goal is not None:
            axis.plot([ratio.goal] * 2, [place - 0.4, place + 0.4], color="tab:red")
    axis.set_yticks(range(len(ratios)), [f"{r.name}: {r.median:.2f}" for r in ratios])
    axis.invert_yaxis()
    axis.set(xscale="log", xlabel="what B needs over what A needs (red: goal)")
    axis.grid(True, axis="x", alpha=0.3)
    save_svg(figure, path)


def save_svg(figure: Any, path: Path) -> None:
    """Write a figure with its text as text; the same figure gives the same file."""
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "benchmarks"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
