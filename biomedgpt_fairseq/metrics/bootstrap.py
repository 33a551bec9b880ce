"""Percentile bootstrap intervals of a metric over the rows of a split."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

# 128 MiB of int64 indices at most at a time.
CHUNK_ELEMENTS = 2**24


class Interval(NamedTuple):
    """A metric with the limits of its interval."""

    value: float
    low: float
    high: float


def mean_interval(values: ArrayLike, seed: int, draws: int = 1000, level: float = 0.95) -> Interval:
    """Mean of per-row values with its bootstrap interval.

    values: (N,).  level: share of the resampled means between the limits.
    """
    rows = np.asarray(values, dtype=np.float64)
    _check(len(rows), draws, level)
    generator = np.random.default_rng(seed)
    means, chunk = [], max(1, CHUNK_ELEMENTS // len(rows))
    for start in range(0, draws, chunk):
        size = (min(chunk, draws - start), len(rows))
        means.append(rows[generator.integers(0, len(rows), size)].mean(axis=1))
    return Interval(float(rows.mean()), *_limits(np.concatenate(means), level))


def interval(
    metric: Callable[[NDArray[np.int64]], float],
    num_rows: int,
    seed: int,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Any metric of a split with its bootstrap interval.

    metric: value for the given row numbers (num_rows,), repeats included.  Resamples on which it is
    NaN (a class is missing) do not count.
    """
    _check(num_rows, draws, level)
    generator = np.random.default_rng(seed)
    values = [metric(generator.integers(0, num_rows, num_rows)) for _ in range(draws)]
    return Interval(float(metric(np.arange(num_rows))), *_limits(np.asarray(values), level))


def _limits(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    finite = values[~np.isnan(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _check(num_rows: int, draws: int, level: float) -> None:
    if num_rows < 1 or draws < 1 or not 0 < level < 1:
        raise ValueError(
            f"need at least one row and one draw and 0 < level < 1, found {num_rows} rows, "
            f"{draws} draws, level {level}"
        )
