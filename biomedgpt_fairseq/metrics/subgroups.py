"""How much groups of rows differ, and how much they would by chance."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 1000


class Gap(NamedTuple):
    """The groups with the lowest and the highest value, and the distance of the values."""

    worst: str
    best: str
    gap: float


class ChanceGap(NamedTuple):
    """The distance of the extreme group means, beside that of groups drawn at random.

    level95: 95 % of the random divisions have a smaller gap; p_value: share of divisions, the
    actual one included, with a gap at least as large.
    """

    gap: float
    level95: float
    p_value: float


def widest_gap(values: Mapping[str, float]) -> Gap | None:
    """Between the extreme groups, of equals the first and the last; None with fewer than two."""
    if len(values) < 2:
        return None
    worst = min(values, key=values.__getitem__)
    best = max(reversed(list(values)), key=values.__getitem__)
    return Gap(worst, best, values[best] - values[worst])


def chance_gap(
    values: ArrayLike, labels: Sequence[str], seed: int, draws: int = DRAWS
) -> ChanceGap | None:
    """Permutation test of the gap between group means; None with fewer than two groups.

    values: (N,) of the rows; labels: (N,) their groups.  The extremes of several groups lie apart
    even when nothing but chance divides the rows: the more groups and the smaller, the wider.
    """
    numbers = np.asarray(values, dtype=np.float64)
    _, group = np.unique(np.asarray(labels, dtype=np.str_), return_inverse=True)  # (N,)
    sizes = np.bincount(group)
    if len(sizes) < 2:
        return None
    generator = np.random.default_rng(seed)
    gap = _gap(numbers, group, sizes)
    drawn = np.array([_gap(generator.permutation(numbers), group, sizes) for _ in range(draws)])
    # Sums in another order differ in their last digits.
    as_wide = int((drawn >= gap - 1e-12).sum())
    return ChanceGap(gap, float(np.quantile(drawn, 0.95)), (1 + as_wide) / (1 + draws))


def _gap(numbers: NDArray[np.float64], group: NDArray[np.int64], sizes: NDArray[np.int64]) -> float:
    means = np.bincount(group, weights=numbers) / sizes
    return float(means.max() - means.min())
