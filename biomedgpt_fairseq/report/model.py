"""What a report shows, as plain values: built by the evaluation, drawn by `plots` and `html`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from biomedgpt_fairseq.metrics.classification import Reliability

if TYPE_CHECKING:
    from biomedgpt_fairseq.report.box_drawing import Drawing
    from biomedgpt_fairseq.report.paraphrases import Paraphrases
    from biomedgpt_fairseq.report.subgroups import Breakdown


@dataclass(frozen=True)
class Row:
    """One evaluated row of the data."""

    row_id: str
    answer: str
    score: float
    gold: str
    value: float
    """Quality in [0, 1]: the credit of the answer, or ROUGE-L F1 where the answer is free text."""
    references: Mapping[str, float] = field(default_factory=dict)
    probabilities: Sequence[float] | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    """Further metrics of this row, by name."""

    @property
    def confidence(self) -> float | None:
        """Probability of the answer among all candidates; None when they were not all scored."""
        return None if self.probabilities is None else float(max(self.probabilities))


@dataclass(frozen=True)
class Measure:
    """A metric of the whole split with its bootstrap interval."""

    name: str
    value: float
    low: float | None
    high: float | None
    count: int
    percent: bool = True
    """Shown times 100; metrics that are no share of anything, such as CIDEr-D, are shown as is."""
    source: str = ""
    """The library, and the tokens, that it was computed with."""

    def as_dict(self) -> dict[str, object]:
        """Its entry in metrics.json; a limit that no resample has is null, as JSON has no NaN."""
        low, high = (
            None if limit is None or math.isnan(limit) else limit for limit in (self.low, self.high)
        )
        return {
            "value": self.value,
            "low": low,
            "high": high,
            "rows": self.count,
            "source": self.source,
        }


@dataclass(frozen=True)
class Curve:
    """One logged quantity over training."""

    split: str
    name: str
    updates: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Confusion:
    """Counts of gold (rows) against predicted (columns) answers."""

    labels: tuple[str, ...]
    counts: NDArray[np.int64]  # (L, L)


@dataclass(frozen=True)
class ShownExample:
    """A row with what the model read, for the gallery."""

    row: Row
    source: str
    image: str | None
    """The picture as a data URI."""
    boxes: Drawing | None = None
    """What is drawn over the picture, which has its own width and height again."""


@dataclass(frozen=True)
class ReportData:
    """Everything on the page."""

    title: str
    task: str
    split: str
    measures: Sequence[Measure]
    record: Mapping[str, object]
    curves: Sequence[Curve] = ()
    best_metric: str | None = None
    confusion: Confusion | None = None
    reliability: Reliability | None = None
    worst: Sequence[ShownExample] = ()
    best: Sequence[ShownExample] = ()
    notes: Sequence[str] = ()
    """What must be known before the numbers are read."""
    subgroups: Sequence[Breakdown] = ()
    paraphrases: Paraphrases | None = None
