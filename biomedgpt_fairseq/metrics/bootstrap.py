"""Percentile bootstrap intervals of metrics over the rows of a split.

A resample is held as how often it draws each row, so that a metric of many resamples is a product
of matrices or a few sums over arrays instead of a loop over resamples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
OfCounts = Callable[[Floats], Floats]

DRAWS = 1000
# 32 MiB of counts at most at a time.
CHUNK_ELEMENTS = 2**22


class Interval(NamedTuple):
    """A metric with the limits of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class RowMetric:
    """A metric of any selection of N evaluated rows, from statistics computed once for each row."""

    name: str
    of_counts: OfCounts
    """(R, N) how often each resample holds each row -> (R,) metric, NaN where it is undefined."""
    covered: NDArray[np.bool_]
    """(N,) the rows that the metric is about."""
    percent: bool = True
    """A share, shown times 100."""
    source: str = ""
    """The library, and the tokens, that the statistics come from."""
    draws: int = DRAWS
    of_rows: Callable[[NDArray[np.int64]], float] | None = None
    """The library's own value for the given rows, where that is not a mean or a sum."""


def mean_metric(name: str, values: ArrayLike, source: str = "", percent: bool = True) -> RowMetric:
    """The mean of per-row values (N,); rows with NaN are not counted."""
    numbers = np.asarray(values, dtype=np.float64)
    covered = ~np.isnan(numbers)
    sums = np.stack([np.where(covered, numbers, 0.0), covered], axis=1)  # (N, 2)

    def mean(total: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            return np.asarray(total[:, 0] / total[:, 1])

    return RowMetric(name, of_sums(sums, mean), covered, percent, source)


def of_sums(statistics: ArrayLike, score: OfCounts) -> OfCounts:
    """A metric that depends on sums over rows only.

    statistics: (N, S) of each row.  score: (R, S) sums of R resamples -> (R,).
    """
    table = np.asarray(statistics, dtype=np.float64)
    return lambda counts: score(counts @ table)


def intervals(
    metrics: Sequence[RowMetric],
    seed: int,
    picked: ArrayLike | None = None,
    level: float = 0.95,
) -> list[Interval]:
    """Each metric with its bootstrap interval, all from the same resamples.

    picked: numbers of the rows to take, default all.  level: share of the resampled values between
    the limits.  Resamples on which a metric is NaN do not count.
    Raises ValueError without a row, for row numbers out of range, and for level outside (0, 1).
    """
    if not metrics:
        return []
    num_rows = len(metrics[0].covered)
    rows = np.arange(num_rows) if picked is None else np.unique(np.asarray(picked, dtype=np.int64))
    if not len(rows) or not 0 < level < 1 or rows[0] < 0 or rows[-1] >= num_rows:
        raise ValueError(
            f"need at least one row, row numbers below {num_rows} and 0 < level < 1, "
            f"found {len(rows)} rows and level {level}"
        )
    whole = np.zeros((1, num_rows))
    whole[:, rows] = 1.0
    values = [
        float(metric.of_rows(rows) if metric.of_rows else metric.of_counts(whole)[0])
        for metric in metrics
    ]
    return [
        Interval(value, *percentiles(found, level))
        for value, found in zip(values, resampled(metrics, seed, rows), strict=True)
    ]


def resampled(metrics: Sequence[RowMetric], seed: int, rows: NDArray[np.int64]) -> list[Floats]:
    """(draws,) of each metric on resamples of the rows, all of the same ones."""
    num_rows = len(metrics[0].covered)
    drawn: list[list[Floats]] = [[] for _ in metrics]
    generator = np.random.default_rng(seed)
    draws, done = max(metric.draws for metric in metrics), 0
    while done < draws:
        size = min(draws - done, max(1, CHUNK_ELEMENTS // num_rows))
        counts = _resample(generator, size, rows, num_rows)
        for found, metric in zip(drawn, metrics, strict=True):
            if done < metric.draws:
                found.append(metric.of_counts(counts[: metric.draws - done]))
        done += size
    return [np.concatenate(found) for found in drawn]


def _resample(
    generator: np.random.Generator, size: int, rows: NDArray[np.int64], num_rows: int
) -> Floats:
    """How often each of `size` resamples of `rows` holds each of all rows.  (size, num_rows)."""
    picks = generator.integers(0, len(rows), (size, len(rows)))
    flat = rows[picks] + num_rows * np.arange(size)[:, None]
    counts = np.bincount(flat.ravel(), minlength=size * num_rows)
    return counts.reshape(size, num_rows).astype(np.float64)


def percentiles(values: Floats, level: float = 0.95) -> tuple[float, float]:
    """Of the middle share `level` of resampled values; NaN twice where all are NaN."""
    finite = values[~np.isnan(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
