"""Weighted F1 and AUC of a whole split, from counts that add up over batches and ranks."""

from dataclasses import dataclass
from typing import Any, Dict, List, Sequence

import numpy as np
import torch
from fairseq.logging import metrics
from torch import Tensor

from biomedgpt_fairseq.text.normalize import normalize_answer

MAX_CLASSES = 64
SCORE_BINS = 500
"""Probabilities are counted in bins, which bounds the error of the AUC by the share of ties."""

CONFUSION = "_confusion"
SCORES = "_score_histogram"


@dataclass(frozen=True)
class ClassCounts:
    """confusion: (K, K) gold by predicted; scores: (K, 2, SCORE_BINS), of other and own rows."""

    confusion: Tensor
    scores: Tensor

    @classmethod
    def of(cls, predictions: Sequence[Any], answers: Sequence[str]) -> "ClassCounts":
        """Counts of predictions; rows with a gold answer outside the set are left out."""
        index = {normalize_answer(answer): k for k, answer in enumerate(answers)}
        classes = len(index) if len(index) <= MAX_CLASSES else 0
        confusion = torch.zeros(classes, classes, dtype=torch.float64)
        scores = torch.zeros(classes, 2, SCORE_BINS, dtype=torch.float64)
        for prediction in predictions if classes else ():
            gold = index.get(normalize_answer(prediction.gold))
            found = index.get(normalize_answer(prediction.answer))
            if gold is None or found is None:
                continue
            confusion[gold, found] += 1
            if prediction.probabilities is not None:
                bins = np.minimum(np.array(prediction.probabilities) * SCORE_BINS, SCORE_BINS - 1)
                own = torch.zeros(classes, dtype=torch.long)
                own[gold] = 1
                scores[torch.arange(classes), own, torch.from_numpy(bins.astype(np.int64))] += 1
        return cls(confusion, scores)

    def as_logs(self) -> Dict[str, Tensor]:
        return {CONFUSION: self.confusion, SCORES: self.scores}


def log_class_metrics(logs: List[Dict[str, Any]]) -> None:
    """Log `weighted_f1` and `auc` from the counts of `ClassCounts.as_logs`; nothing without any."""
    confusion = [log[CONFUSION] for log in logs if CONFUSION in log]
    if not confusion or confusion[0].numel() == 0:
        return
    for name in (CONFUSION, SCORES):
        total = torch.stack([log[name].cpu() for log in logs if name in log]).sum(0)
        # A stock meter, which also adds tensors: only such can be read back from a checkpoint.
        metrics.log_scalar_sum(name, total)
    metrics.log_derived(
        "weighted_f1", lambda meters: round(weighted_f1(meters[CONFUSION].sum.numpy()), 4)
    )
    if any(float(log[SCORES].sum()) > 0 for log in logs if SCORES in log):
        metrics.log_derived("auc", lambda meters: round(mean_auc(meters[SCORES].sum.numpy()), 4))


def weighted_f1(confusion: np.ndarray) -> float:
    """F1 of each class, weighted by its rows.  confusion: (K, K), gold by predicted."""
    own = np.diag(confusion)
    support = confusion.sum(1)
    f1 = 2 * own / np.maximum(support + confusion.sum(0), 1)
    return float((f1 * support).sum() / max(support.sum(), 1))


def mean_auc(scores: np.ndarray) -> float:
    """Mean one-against-rest area under the ROC curve of classes with both kinds of rows.

    scores: (K, 2, bins) counts of other and own rows by probability; NaN without such a class.
    Ties count half (Mann-Whitney).
    """
    other, own = scores[:, 0], scores[:, 1]  # (K, bins)
    below = other.cumsum(1) - other
    wins = (own * (below + other / 2)).sum(1)
    pairs = own.sum(1) * other.sum(1)
    return float((wins[pairs > 0] / pairs[pairs > 0]).mean()) if (pairs > 0).any() else float("nan")
