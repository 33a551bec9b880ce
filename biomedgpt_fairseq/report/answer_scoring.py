"""Metrics of short answers: questions and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from biomedgpt_fairseq.metrics.answers import fold, is_closed, match_score
from biomedgpt_fairseq.metrics.bootstrap import Floats, RowMetric, mean_metric
from biomedgpt_fairseq.metrics.class_bootstrap import auc_metric, f1_metric
from biomedgpt_fairseq.metrics.vqa import bleu1, normalize_vqa, token_f1
from biomedgpt_fairseq.report.model import Row
from biomedgpt_fairseq.report.scored import Predicted, Scored, make_row, references_of

# The main metric's name is that of training logs.
_MAIN_METRIC = {"image_classify": "score", "text_classify": "score", "mnli": "acc"}
VQA_SOURCE = "VQA normalisation"
FOLDED = "stripped, case-folded"


def score_questions(predictions: Sequence[Predicted]) -> Scored:
    """Credit of each answer, over all, closed and open questions.

    Once by the comparison of training logs, once after the normalisation of the VQA evaluation,
    and letter by letter.
    """
    given = [references_of(p) for p in predictions]
    closed = np.array([is_closed(references) for references in given])
    pairs = list(zip(predictions, given, strict=True))
    credit = np.array([match_score(p.answer, refs) for p, refs in pairs])
    matched = np.array([match_score(p.answer, refs, normalize_vqa) for p, refs in pairs])
    overlap = np.array([_open_scores(p.answer, refs) for p, refs in pairs])  # (N, 2)
    overlap[closed] = np.nan
    metrics = [
        *_split_metric("vqa_score", credit, closed),
        *_split_metric("accuracy", matched, closed),
        mean_metric("token F1 open", overlap[:, 0], VQA_SOURCE),
        mean_metric("BLEU-1 open", overlap[:, 1], f"sacrebleu, {VQA_SOURCE}"),
        mean_metric("exact", [match_score(p.answer, refs, None) for p, refs in pairs], "as is"),
    ]
    scores = [{"accuracy": value} for value in matched.tolist()]
    for row in np.flatnonzero(~closed):
        scores[row] |= {"token F1": float(overlap[row, 0]), "BLEU-1": float(overlap[row, 1])}
    return Scored(list(map(make_row, predictions, credit.tolist(), scores)), metrics)


def _open_scores(answer: str, references: Mapping[str, float]) -> tuple[float, float]:
    return token_f1(answer, references), bleu1(answer, references)


def _split_metric(name: str, values: Floats, closed: NDArray[np.bool_]) -> list[RowMetric]:
    """Of all, of closed and of open questions."""
    source = VQA_SOURCE if name == "accuracy" else FOLDED
    return [
        mean_metric(name, values, source),
        mean_metric(f"{name} closed", np.where(closed, values, np.nan), source),
        mean_metric(f"{name} open", np.where(closed, np.nan, values), source),
    ]


def score_classes(
    task: str, predictions: Sequence[Predicted], answers: Sequence[str] | None
) -> Scored:
    """Accuracy, F1 and AUC.  answers: the closed set that `probabilities` are over."""
    rows = [make_row(p, match_score(p.answer, references_of(p))) for p in predictions]
    labels = {label: k for k, label in enumerate(sorted(_labels(rows)))}
    gold = [labels[fold(row.gold)] for row in rows]
    predicted = [labels[fold(row.answer)] for row in rows]
    metrics = [
        mean_metric(_MAIN_METRIC.get(task, "accuracy"), [row.value for row in rows], FOLDED),
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
