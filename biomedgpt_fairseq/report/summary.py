"""Predictions of a split -> rows with their credit, metrics with intervals, data of figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from biomedgpt_fairseq.metrics.answers import fold
from biomedgpt_fairseq.metrics.classification import Reliability, confusion_matrix, reliability
from biomedgpt_fairseq.report.answer_scoring import score_classes, score_questions
from biomedgpt_fairseq.report.box_scoring import score_objects, score_regions
from biomedgpt_fairseq.report.model import Confusion, Measure, Row
from biomedgpt_fairseq.report.scored import Predicted, Scored
from biomedgpt_fairseq.report.text_scoring import score_texts

FREE_TEXT_TASKS = frozenset({"caption", "gigaword"})
BOX_TASKS: dict[str, Callable[[Sequence[Predicted]], Scored]] = {
    "detection": score_objects,
    "visual_grounding": score_regions,
}
MAX_LABELS = 12
OTHER = "other answers"


@dataclass(frozen=True)
class Summary:
    """The result of an evaluation."""

    task: str
    scored: Scored
    measures: Sequence[Measure]
    confusion: Confusion | None = None
    reliability: Reliability | None = None

    @property
    def rows(self) -> Sequence[Row]:
        return self.scored.rows

    def as_dict(self) -> dict[str, Any]:
        """Content of metrics.json."""
        metrics = {m.name: m.as_dict() for m in self.measures}
        return {
            "task": self.task,
            "rows": len(self.rows),
            "interval": 0.95,
            "metrics": metrics,
            "notes": list(self.scored.notes),
        }

    def lines(self) -> list[str]:
        """One line of text per metric, and per note."""
        width = max(len(m.name) for m in self.measures)
        lines = [
            f"{m.name:{width}}  {m.value:8.4f}  {_limits(m):16}  {m.count} rows  {m.source}"
            for m in self.measures
        ]
        return [*lines, *(f"note: {note}" for note in self.scored.notes)]


def _limits(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return ""
    return f"[{measure.low:.4f}, {measure.high:.4f}]"


def score_rows(
    task: str,
    predictions: Sequence[Predicted],
    answers: Sequence[str] | None,
    with_meteor: bool = True,
) -> Scored:
    """Rows and metrics of a task, to be summed over all rows or over subgroups.

    answers: the closed set that `probabilities` are over.  with_meteor: of captions; its java
    program takes seconds to start.
    """
    if task in FREE_TEXT_TASKS:
        return score_texts(task, predictions, with_meteor)
    if task in BOX_TASKS:
        return BOX_TASKS[task](predictions)
    if task == "vqa_gen":
        return score_questions(predictions)
    return score_classes(task, predictions, answers)


def summarize(
    task: str,
    predictions: Sequence[Predicted],
    answers: Sequence[str] | None,
    seed: int,
    with_meteor: bool = True,
) -> Summary:
    """Metrics of a task with bootstrap 95 % intervals over rows; arguments as of `score_rows`."""
    scored = score_rows(task, predictions, answers, with_meteor)
    measures = scored.measures(seed)
    if task in FREE_TEXT_TASKS or task in BOX_TASKS:
        return Summary(task, scored, measures)
    return Summary(task, scored, measures, _confusion(scored.rows), _reliability(scored.rows))


def _confusion(rows: Sequence[Row]) -> Confusion | None:
    """Counts of the most frequent gold answers; all others share the last row and column."""
    frequency = Counter(fold(row.gold) for row in rows)
    predicted = Counter(fold(row.answer) for row in rows if row.answer)
    # Sorted, not as met: the grid stays the same when rows are shuffled.
    by_count = sorted(frequency, key=lambda label: (-frequency[label], label))
    by_count += sorted(set(predicted) - set(frequency))
    labels = (
        sorted(by_count) if len(by_count) <= MAX_LABELS else [*by_count[: MAX_LABELS - 1], OTHER]
    )
    if len(labels) < 2:
        return None
    place = {label: index for index, label in enumerate(labels)}
    last = len(labels) - 1
    gold = [place.get(fold(row.gold), last) for row in rows]
    found = [place.get(fold(row.answer), last) for row in rows]
    return Confusion(tuple(labels), confusion_matrix(gold, found, len(labels)))


def _reliability(rows: Sequence[Row]) -> Reliability | None:
    confidences = [row.confidence for row in rows]
    if any(confidence is None for confidence in confidences):
        return None
    # Sums of probabilities may pass 1 by rounding.
    sure = np.clip(np.array(confidences, dtype=np.float64), 0.0, 1.0)
    return reliability(sure, [row.value for row in rows])
