"""Seeded assignment of rows to splits: by label share, and by group where rows belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from data_utils.splits import SPLIT_ORDER


def parse_fractions(text: str) -> tuple[float, ...]:
    """Shares of train, valid and test, such as "0.8,0.1,0.1", which add up to 1."""
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = ()
    if len(shares) != len(SPLIT_ORDER) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(
            f"expected three shares (train, valid, test) that add up to 1, found {text!r}"
        )
    return shares


def assign_by_label(labels: Sequence[str], fractions: Sequence[float], seed: int) -> list[str]:
    """A split for each row, so that every split has the same shares of the labels."""
    return assign_by_group(labels, [str(row) for row in range(len(labels))], fractions, seed)


def assign_by_group(
    labels: Sequence[str], groups: Sequence[str], fractions: Sequence[float], seed: int
) -> list[str]:
    """A split for each row; rows of one group stay together, label shares are nearly met.

    Groups are taken in random order, large ones first; each goes to the split that lacks most of
    the group's labels.
    """
    members: dict[str, Counter[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        members.setdefault(group, Counter())[label] += 1
    rng = np.random.default_rng(seed)
    names = list(members)
    order = [names[int(k)] for k in rng.permutation(len(names))]
    order.sort(key=lambda group: -members[group].total())  # stable: equal sizes stay shuffled
    totals = Counter(labels)
    missing = [{label: share * totals[label] for label in totals} for share in fractions]
    chosen: dict[str, str] = {}
    for group in order:
        counts = members[group]
        need = [
            sum(count * lacks[label] / totals[label] for label, count in counts.items())
            / max(share, 1e-9)
            if share > 0
            else -np.inf
            for lacks, share in zip(missing, fractions, strict=True)
        ]
        best = int(np.argmax(need))
        chosen[group] = SPLIT_ORDER[best]
        for label, count in counts.items():
            missing[best][label] -= count
    return [chosen[group] for group in groups]
