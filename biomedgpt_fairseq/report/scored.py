"""Rows of a split, each scored once, and the metrics of any selection of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from biomedgpt_fairseq.metrics.bootstrap import RowMetric, intervals
from biomedgpt_fairseq.report.model import Measure, Row


class Predicted(Protocol):
    """What a task's `predict` returns for a row."""

    @property
    def row_id(self) -> str: ...
    @property
    def answer(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def gold(self) -> str: ...
    @property
    def references(self) -> Mapping[str, float]: ...
    @property
    def probabilities(self) -> Sequence[float] | None: ...


@dataclass(frozen=True)
class Scored:
    """The evaluated rows with what their metrics are made of."""

    rows: Sequence[Row]
    metrics: Sequence[RowMetric]
    notes: Sequence[str] = ()
    """What could not be computed, and why."""

    def measures(self, seed: int, picked: ArrayLike | None = None) -> list[Measure]:
        """Each metric with its bootstrap 95 % interval over all rows or over the picked ones.

        picked: row numbers, such as those of a subgroup; nothing is scored again.  A metric that is
        undefined there (no open question, a single class) is left out.
        """
        chosen = np.arange(len(self.rows)) if picked is None else np.asarray(picked, dtype=np.int64)
        found = []
        limits = intervals(self.metrics, seed, chosen)
        for metric, interval in zip(self.metrics, limits, strict=True):
            if not np.isnan(interval.value):
                low, high = (None if np.isnan(limit) else limit for limit in interval[1:])
                count = int(metric.covered[chosen].sum())
                found.append(
                    Measure(
                        metric.name,
                        interval.value,
                        low,
                        high,
                        count,
                        metric.percent,
                        metric.source,
                    )
                )
        return found


def references_of(predicted: Predicted) -> Mapping[str, float]:
    """Accepted texts with their scores: the gold one where the row names no others."""
    return predicted.references or {predicted.gold: 1.0}


def make_row(predicted: Predicted, value: float, scores: Mapping[str, float] | None = None) -> Row:
    """value: quality in [0, 1].  scores: further per-row metrics by name."""
    return Row(
        predicted.row_id,
        predicted.answer,
        predicted.score,
        predicted.gold,
        value,
        references_of(predicted),
        predicted.probabilities,
        scores or {},
    )
