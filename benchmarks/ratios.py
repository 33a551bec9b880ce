"""Ratios of two sides that are timed one after the other in each repetition."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ratio:
    """Seconds (or bytes) of ours and of what it is compared with, repetition by repetition."""

    name: str
    seconds: list[float]
    compared: list[float]

    @property
    def ratios(self) -> list[float]:
        """How many times more the other side needs, per repetition."""
        return [b / a for a, b in zip(self.seconds, self.compared, strict=True)]

    def row(self) -> str:
        """A line of the table: medians, and the median ratio with its range."""
        ratios = self.ratios
        spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        medians = statistics.median(self.seconds), statistics.median(self.compared)
        return f"{self.name:<52} {medians[0]:>9.4f} {medians[1]:>9.4f}  {spread}"


def seconds_of(work: Callable[[], Any]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def side_by_side(
    name: str, work: Callable[[], Any], compared: Callable[[], Any], repeats: int
) -> Ratio:
    """Both sides, one after the other in each repetition."""
    pairs = [(seconds_of(work), seconds_of(compared)) for _ in range(repeats)]
    return Ratio(name, [a for a, _ in pairs], [b for _, b in pairs])


def show(ratios: Sequence[Ratio], path: Path | None = None) -> None:
    """Print the table and, if asked to, keep all figures as JSON."""
    print(f"{'medians of A, B':<52} {'A':>9} {'B':>9}  B / A [range]")
    for ratio in ratios:
        print(ratio.row())
    if path:
        figures = {r.name: [r.seconds, r.compared] for r in ratios}
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
