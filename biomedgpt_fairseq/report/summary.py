"""Predictions of a split -> rows with their credit, metrics with intervals, data of figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from biomedgpt_fairseq.metrics import bleu, cider_d, rouge
from biomedgpt_fairseq.metrics.answers import fold, is_closed, match_score
from biomedgpt_fairseq.metrics.bootstrap import Interval, interval, mean_interval
from biomedgpt_fairseq.metrics.classification import (
    Reliability,
    auc,
    confusion_matrix,
    f1,
    reliability,
)
from biomedgpt_fairseq.report.model import Confusion, Measure, Row
from biomedgpt_fairseq.text.normalize import normalize_caption

FREE_TEXT_TASKS = frozenset({"caption", "gigaword"})
# The main metric's name is that of training logs.
_MAIN_METRIC = {
    "vqa_gen": "vqa_score",
    "image_classify": "score",
    "text_classify": "score",
    "mnli": "acc",
}
# Metrics that are no mean over rows are computed anew for each resample.
SLOW_DRAWS = 200
MAX_LABELS = 12
OTHER = "other answers"


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
class Summary:
    """The result of an evaluation."""

    task: str
    rows: Sequence[Row]
    measures: Sequence[Measure]
    confusion: Confusion | None = None
    reliability: Reliability | None = None
    free_text: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Content of metrics.json."""
        metrics = {
            m.name: {"value": m.value, "low": m.low, "high": m.high, "rows": m.count}
            for m in self.measures
        }
        return {"task": self.task, "rows": len(self.rows), "interval": 0.95, "metrics": metrics}

    def lines(self) -> list[str]:
        """One line of text per metric."""
        width = max(len(m.name) for m in self.measures)
        return [
            f"{m.name:{width}}  {m.value:8.4f}  [{m.low:.4f}, {m.high:.4f}]  {m.count} rows"
            for m in self.measures
        ]


def summarize(
    task: str, predictions: Sequence[Predicted], answers: Sequence[str] | None, seed: int
) -> Summary:
    """Metrics of a task with bootstrap 95 % intervals over rows.

    answers: the closed set that `probabilities` are over.
    """
    if task in FREE_TEXT_TASKS:
        return _summarize_text(task, predictions, seed)
    rows = [_row(p, match_score(p.answer, _references(p))) for p in predictions]
    measures = [_mean_measure(_MAIN_METRIC.get(task, "accuracy"), [r.value for r in rows], seed)]
    if task == "vqa_gen":
        measures += _question_measures(rows, seed)
    else:
        measures += _class_measures(rows, answers, seed)
    return Summary(task, rows, measures, _confusion(rows), _reliability(rows))


def _question_measures(rows: Sequence[Row], seed: int) -> list[Measure]:
    parts: dict[str, list[float]] = {"closed": [], "open": []}
    for row in rows:
        parts["closed" if is_closed(row.references) else "open"].append(row.value)
    measures = [
        _mean_measure(f"vqa_score {k}", values, seed) for k, values in parts.items() if values
    ]
    exact = [match_score(row.answer, row.references, normalize=None) for row in rows]
    return [*measures, _mean_measure("exact", exact, seed)]


def _class_measures(rows: Sequence[Row], answers: Sequence[str] | None, seed: int) -> list[Measure]:
    labels = sorted({fold(text) for row in rows for text in (row.gold, row.answer)})
    gold = np.array([labels.index(fold(row.gold)) for row in rows])
    predicted = np.array([labels.index(fold(row.answer)) for row in rows])

    def resampled(average: str) -> Callable[[NDArray[np.int64]], float]:
        return lambda picked: f1(gold[picked], predicted[picked], average)

    measures = [
        _measure(f"{kind} F1", interval(resampled(kind), len(rows), seed, SLOW_DRAWS), len(rows))
        for kind in ("weighted", "macro")
    ]
    known = [fold(answer) for answer in answers or []]
    if all(row.probabilities and fold(row.gold) in known for row in rows):
        classes = np.array([known.index(fold(row.gold)) for row in rows])  # (N,)
        table = np.array([row.probabilities for row in rows])  # (N, K)
        area = interval(lambda i: auc(classes[i], table[i]), len(rows), seed, SLOW_DRAWS)
        if not np.isnan(area.value):
            measures.append(_measure("AUC", area, len(rows)))
    return measures


def _summarize_text(task: str, predictions: Sequence[Predicted], seed: int) -> Summary:
    def clean(text: str) -> str:
        return normalize_caption(text) if task == "caption" else text.strip().lower()

    hyps = [clean(p.answer) for p in predictions]
    refs = [[clean(text) for text in _references(p)] for p in predictions]
    # The best of several references counts, as in the usual scorers of captions.
    kinds = {
        kind: [
            max(rouge(h, ref)[kind].f for ref in several)
            for h, several in zip(hyps, refs, strict=True)
        ]
        for kind in ("rouge1", "rouge2", "rougeL")
    }
    measures = [_mean_measure(f"{kind} F1", values, seed) for kind, values in kinds.items()]
    if task == "caption":
        consensus = mean_interval(cider_d(hyps, refs), seed)
        measures.append(_measure("CIDEr-D", consensus, len(hyps), percent=False))

    def corpus_bleu(picked: NDArray[np.int64]) -> float:
        return bleu([hyps[i] for i in picked], [refs[i] for i in picked])

    found = interval(corpus_bleu, len(hyps), seed, SLOW_DRAWS)
    measures.append(_measure("BLEU", found, len(hyps), percent=False))
    rows = [_row(p, value) for p, value in zip(predictions, kinds["rougeL"], strict=True)]
    return Summary(task, rows, measures, free_text=True)


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


def _row(predicted: Predicted, value: float) -> Row:
    return Row(
        predicted.row_id,
        predicted.answer,
        predicted.score,
        predicted.gold,
        value,
        _references(predicted),
        predicted.probabilities,
    )


def _references(predicted: Predicted) -> Mapping[str, float]:
    return predicted.references or {predicted.gold: 1.0}


def _mean_measure(name: str, values: Sequence[float], seed: int) -> Measure:
    return _measure(name, mean_interval(values, seed), len(values))


def _measure(name: str, found: Interval, count: int, percent: bool = True) -> Measure:
    return Measure(name, *found, count, percent)
