"""How much of a mixture each source is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def apportion(total: int, shares: Sequence[float]) -> npt.NDArray[np.int64]:
    """Whole numbers (n,) in the proportion of the shares, which sum to the total.

    A positive share gets at least 1.  Raises ValueError when there is none or the total is too
    small for that.
    """
    weights = np.asarray(shares, dtype=np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
        raise ValueError(f"mixture weights must be 0 or more, one positive, found {list(shares)}")
    needed = int((weights > 0).sum())
    if total < needed:
        raise ValueError(f"an epoch of {total} rows is too short for {needed} sources")
    exact = weights / weights.sum() * total
    counts = np.floor(exact).astype(np.int64)
    largest = np.argsort(counts - exact, kind="stable")
    counts[largest[: total - counts.sum()]] += 1
    for empty in np.flatnonzero((counts == 0) & (weights > 0)):
        counts[counts.argmax()] -= 1
        counts[empty] = 1
    result: npt.NDArray[np.int64] = counts
    return result


def shares_by_size(
    rows: Sequence[int], temperature: float = 1.0, cap: int | None = None
) -> list[float]:
    """Shares that grow with the size of the sources, sum 1.

    temperature: sizes to the power of 1 / temperature; 1 is proportional, large values are nearly
    equal.  cap: a source counts at most so many rows.  Source: T5 (arXiv:1910.10683).
    """
    if not temperature > 0:
        raise ValueError(f"--mixture-temperature must be positive, found {temperature}")
    if cap is not None and cap < 1:
        raise ValueError(f"--mixture-cap must be positive, found {cap}")
    sizes = np.minimum(rows, cap) if cap is not None else np.asarray(rows)
    weights = sizes.astype(np.float64) ** (1 / temperature)
    return [float(share) for share in weights / weights.sum()]
