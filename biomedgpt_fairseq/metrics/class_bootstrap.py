"""F1 and AUC of many resamples at once, equal to scikit-learn's of each.

N rows, K classes, R resamples.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from biomedgpt_fairseq.metrics.bootstrap import DRAWS, Floats, RowMetric
from biomedgpt_fairseq.metrics.classification import auc, f1

SOURCE = "scikit-learn"
# The AUC sorts all rows for every class.
MANY_CLASSES, FEWER_DRAWS = 20, 200


def f1_metric(gold: ArrayLike, predicted: ArrayLike, average: str) -> RowMetric:
    """F1 over the classes that occur: their mean (macro), or weighted by gold count (weighted).

    gold, predicted: (N,) class numbers.
    """
    first, second = np.asarray(gold, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    num_classes = int(max(first.max(), second.max())) + 1

    def of_counts(counts: Floats) -> Floats:
        have = _per_class(counts, first, num_classes)  # (R, K)
        both = have + _per_class(counts, second, num_classes)
        right = _per_class(counts * (first == second), first, num_classes)
        score = 2 * right / np.maximum(both, 1.0)
        if average == "weighted":
            return np.asarray((have * score).sum(axis=1) / counts.sum(axis=1))
        return np.asarray(score.sum(axis=1) / (both > 0).sum(axis=1))

    return RowMetric(
        f"{average} F1",
        of_counts,
        np.ones(len(first), dtype=bool),
        source=SOURCE,
        of_rows=lambda rows: f1(first[rows], second[rows], average),
    )


def auc_metric(gold: ArrayLike, probabilities: ArrayLike) -> RowMetric:
    """Area under the ROC curve; for more than two classes the mean of one against the rest.

    gold: (N,) class numbers.  probabilities: (N, K).  A class that no or every row of a resample
    has is left out of its mean; NaN if none is left.
    """
    classes, table = np.asarray(gold, dtype=np.int64), np.asarray(probabilities, dtype=np.float64)
    # With two classes both curves are the same; a class without a row has none.
    columns = [1] if table.shape[1] == 2 else [int(column) for column in np.unique(classes)]

    def of_counts(counts: Floats) -> Floats:
        areas = np.stack([_area(counts, classes == k, table[:, k]) for k in columns])
        known = ~np.isnan(areas)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(known, areas, 0.0).sum(axis=0) / known.sum(axis=0))

    return RowMetric(
        "AUC",
        of_counts,
        np.ones(len(classes), dtype=bool),
        source=SOURCE,
        draws=DRAWS if len(columns) <= MANY_CLASSES else FEWER_DRAWS,
        of_rows=lambda rows: auc(classes[rows], table[rows]),
    )


def _per_class(counts: Floats, classes: NDArray[np.int64], num_classes: int) -> Floats:
    """Rows of each class in each resample.  (R, N) counts -> (R, K)."""
    order = np.argsort(classes, kind="stable")
    present, starts = np.unique(classes[order], return_index=True)
    sums = np.zeros((len(counts), num_classes))
    sums[:, present] = np.add.reduceat(counts[:, order], starts, axis=1)
    return sums


def _area(counts: Floats, is_class: NDArray[np.bool_], scores: Floats) -> Floats:
    """Share of pairs of an own and another row that the score orders; equal scores count half.

    (R, N) counts -> (R,), NaN without a pair.
    """
    order = np.argsort(scores, kind="stable")
    ranked, own = scores[order], np.flatnonzero(is_class[order])
    others = counts[:, order]
    mine = others[:, own]  # (R, own rows)
    others[:, own] = 0.0
    others_so_far = np.zeros((len(counts), len(ranked) + 1))
    np.cumsum(others, axis=1, out=others_so_far[:, 1:])
    lower = others_so_far[:, np.searchsorted(ranked, ranked[own], side="left")]
    lower_or_equal = others_so_far[:, np.searchsorted(ranked, ranked[own], side="right")]
    ordered = (mine * (lower + lower_or_equal)).sum(axis=1) / 2
    with np.errstate(invalid="ignore"):
        return np.asarray(ordered / (mine.sum(axis=1) * others_so_far[:, -1]))
