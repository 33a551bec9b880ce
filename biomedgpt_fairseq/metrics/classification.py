"""Scores of predicted classes and of their probabilities.

N rows, K classes numbered 0..K-1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics as sklearn_metrics


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy in bins of equal width."""

    edges: NDArray[np.float64]  # (M+1,) bin borders in [0, 1]
    confidence: NDArray[np.float64]  # (M,) mean confidence, NaN for an empty bin
    accuracy: NDArray[np.float64]  # (M,) share of correct rows, NaN for an empty bin
    counts: NDArray[np.int64]  # (M,)
    expected_error: float  # expected calibration error, in [0, 1]


def f1(gold: ArrayLike, predicted: ArrayLike, average: str = "macro") -> float:
    """F1 over the classes that occur: their mean (macro), or weighted by gold count (weighted).

    A class that is never predicted scores 0.
    """
    first, second = _pair(gold, predicted)
    return float(sklearn_metrics.f1_score(first, second, average=average, zero_division=0))


def auc(gold: ArrayLike, probabilities: ArrayLike) -> float:
    """Area under the ROC curve; for more than two classes the mean of one against the rest.

    gold: (N,) class numbers.  probabilities: (N, K).  Classes absent from gold (or that are all of
    it) have no curve and are left out; NaN if none is left.
    """
    classes, scores = np.asarray(gold), np.asarray(probabilities, dtype=np.float64)
    _check_table(classes, scores)
    # With two classes both curves are the same.
    columns = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    areas = []
    for column in columns:
        is_class = classes == column
        if 0 < is_class.sum() < len(classes):
            areas.append(sklearn_metrics.roc_auc_score(is_class, scores[:, column]))
    return float(np.mean(areas)) if areas else float("nan")


def confusion_matrix(gold: ArrayLike, predicted: ArrayLike, num_classes: int) -> NDArray[np.int64]:
    """Counts of rows by gold class (row) and predicted class (column).  Returns (K, K) int64.

    Raises ValueError for a class outside 0..num_classes-1.
    """
    first, second = _pair(gold, predicted)
    both = np.concatenate([first, second])
    if both.min() < 0 or both.max() >= num_classes:
        raise ValueError(
            f"classes must lie in 0..{num_classes - 1}, found {both.min()}..{both.max()}"
        )
    flat = np.bincount(first * num_classes + second, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes).astype(np.int64)


def reliability(confidence: ArrayLike, correct: ArrayLike, num_bins: int = 10) -> Reliability:
    """Bins of confidence with their accuracy, and the expected calibration error.

    confidence: (N,) probability of each prediction, in [0, 1].  correct: (N,) whether it is right.
    A bin holds its upper border.  Source: Guo et al., arXiv:1706.04599.
    """
    sure, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if sure.shape != right.shape or sure.ndim != 1 or not len(sure):
        raise ValueError(f"need two vectors of one length, found {sure.shape} and {right.shape}")
    if not ((sure >= 0) & (sure <= 1)).all():
        raise ValueError(f"confidence must lie in [0, 1], found {sure.min()}..{sure.max()}")
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    place = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, num_bins - 1)
    counts = np.bincount(place, minlength=num_bins)
    sum_sure = np.bincount(place, weights=sure, minlength=num_bins)
    sum_right = np.bincount(place, weights=right, minlength=num_bins)
    filled = np.where(counts > 0, counts, np.nan)
    error = float(np.abs(sum_sure - sum_right).sum() / len(sure))
    return Reliability(edges, sum_sure / filled, sum_right / filled, counts.astype(np.int64), error)


def _pair(gold: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, second = np.asarray(gold, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"need two vectors of one length, found {first.shape} and {second.shape}")
    return first, second


def _check_table(classes: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
    if classes.ndim != 1 or scores.ndim != 2 or len(classes) != len(scores):
        raise ValueError(
            f"need (N,) classes and (N, K) scores, found {classes.shape}, {scores.shape}"
        )
    if len(classes) and not 0 <= classes.min() <= classes.max() < scores.shape[1]:
        raise ValueError(f"gold classes must lie in 0..{scores.shape[1] - 1}")
