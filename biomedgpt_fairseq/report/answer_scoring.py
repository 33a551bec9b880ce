"""Metrics of short answers: questions and classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from biomedgpt_fairseq.metrics.answers import fold, is_closed, match_score
from biomedgpt_fairseq.metrics.bootstrap import RowMetric, mean_metric
from biomedgpt_fairseq.metrics.class_bootstrap import auc_metric, f1_metric
from biomedgpt_fairseq.report.model import Row
from biomedgpt_fairseq.report.scored import Predicted, Scored, make_row, references_of

# The main metric's name is that of training logs.
_MAIN_METRIC = {"image_classify": "score", "text_classify": "score", "mnli": "acc"}


def score_questions(predictions: Sequence[Predicted]) -> Scored:
    """Credit of each answer, over all, closed and open questions."""
    rows = [make_row(p, match_score(p.answer, references_of(p))) for p in predictions]
    closed = np.array([is_closed(row.references) for row in rows])
    credit = np.array([row.value for row in rows])
    exact = [match_score(row.answer, row.references, normalize=None) for row in rows]
    metrics = [
        mean_metric("vqa_score", credit),
        mean_metric("vqa_score closed", np.where(closed, credit, np.nan)),
        mean_metric("vqa_score open", np.where(closed, np.nan, credit)),
        mean_metric("exact", exact),
    ]
    return Scored(rows, metrics)


def score_classes(
    task: str, predictions: Sequence[Predicted], answers: Sequence[str] | None
) -> Scored:
    """Accuracy, F1 and AUC.  answers: the closed set that `probabilities` are over."""
    rows = [make_row(p, match_score(p.answer, references_of(p))) for p in predictions]
    labels = {label: k for k, label in enumerate(sorted(_labels(rows)))}
    gold = [labels[fold(row.gold)] for row in rows]
    predicted = [labels[fold(row.answer)] for row in rows]
    metrics = [
        mean_metric(_MAIN_METRIC.get(task, "accuracy"), [row.value for row in rows]),
        f1_metric(gold, predicted, "weighted"),
        f1_metric(gold, predicted, "macro"),
        *_auc(rows, answers),
    ]
    return Scored(rows, metrics)


def _labels(rows: Sequence[Row]) -> set[str]:
    return {fold(text) for row in rows for text in (row.gold, row.answer)}


def _auc(rows: Sequence[Row], answers: Sequence[str] | None) -> list[RowMetric]:
    """The AUC, where all candidates of every row were scored and its gold answer is one of them."""
    known = {fold(answer): k for k, answer in reversed(list(enumerate(answers or [])))}
    table = [row.probabilities for row in rows if row.probabilities and fold(row.gold) in known]
    if len(table) < len(rows):
        return []
    return [auc_metric([known[fold(row.gold)] for row in rows], np.array(table))]
