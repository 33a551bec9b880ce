"""Metrics of subgroups of the rows: by site, sex or any other attribute."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from biomedgpt_fairseq.metrics.subgroups import ChanceGap, Gap, chance_gap, widest_gap
from biomedgpt_fairseq.report.metadata import Attribute
from biomedgpt_fairseq.report.model import Measure, Row

MAX_GROUPS = 50
MeasureRows = Callable[[Sequence[int]], Sequence[Measure]]


@dataclass(frozen=True)
class Group:
    """One group of an attribute.

    few: it has too few rows to be compared; its intervals say how little is known.
    """

    name: str
    rows: int
    few: bool
    measures: Sequence[Measure]


@dataclass(frozen=True)
class Breakdown:
    """The groups of one attribute, in alphabetical order.

    gaps: metric -> its extreme groups; chance: the gap in `correct` of the rows.  Values of fewer
    than `min_rows` rows take no part in either.
    """

    attribute: str
    origin: str
    min_rows: int
    groups: Sequence[Group]
    gaps: Mapping[str, Gap]
    chance: ChanceGap | None

    def as_dict(self) -> dict[str, Any]:
        """The attribute's entry under `subgroups` in metrics.json."""
        return {
            "attribute": self.attribute,
            "origin": self.origin,
            "min_rows": self.min_rows,
            "groups": [
                {
                    "group": group.name,
                    "rows": group.rows,
                    "few_rows": group.few,
                    "metrics": {m.name: m.as_dict() for m in group.measures},
                }
                for group in self.groups
            ],
            "gaps": {name: gap._asdict() for name, gap in self.gaps.items()},
            "correct_by_chance": None if self.chance is None else self.chance._asdict(),
        }

    def line(self) -> str:
        """The result in one line."""
        counted = f"by {self.attribute}: {len(self.groups)} groups"
        if not self.gaps:
            return f"{counted}, fewer than two with {self.min_rows} rows or more"
        name, gap = next(iter(self.gaps.items()))
        found = f"{counted}; {name} lowest in {gap.worst!r}, {gap.gap:.4f} below {gap.best!r}"
        return f"{found}; p = {self.chance.p_value:.3f}" if self.chance is not None else found


def break_down(
    attribute: Attribute, rows: Sequence[Row], measure: MeasureRows, min_rows: int, seed: int
) -> Breakdown:
    """Metrics of each group of an attribute.

    measure: numbers of some rows -> their metrics.  Raises ValueError for an attribute with more
    groups than MAX_GROUPS, such as an age in days.
    """
    members = group_rows(attribute)
    groups = [
        Group(name, len(numbers), len(numbers) < min_rows, measure(numbers))
        for name, numbers in members.items()
    ]
    values: dict[str, dict[str, float]] = {}
    for group in groups:
        for m in group.measures:
            # Some metrics are about a part of the rows, such as the open questions.
            if m.count >= min_rows and not math.isnan(m.value):
                values.setdefault(m.name, {})[group.name] = m.value
    found = {name: widest_gap(by_group) for name, by_group in values.items()}
    compared = [i for i, name in enumerate(attribute.labels) if len(members[name]) >= min_rows]
    chance = chance_gap(
        [rows[i].value for i in compared], [attribute.labels[i] for i in compared], seed
    )
    gaps = {name: gap for name, gap in found.items() if gap is not None}
    return Breakdown(attribute.name, attribute.origin, min_rows, groups, gaps, chance)


def group_rows(attribute: Attribute) -> dict[str, list[int]]:
    """Group -> numbers of its rows."""
    members: dict[str, list[int]] = {name: [] for name in sorted(set(attribute.labels))}
    if len(members) > MAX_GROUPS:
        raise ValueError(
            f"{attribute.origin}: {attribute.name!r} has {len(members)} different values in "
            f"{len(attribute.labels)} rows, more than {MAX_GROUPS} groups; choose another column, "
            "or write ranges of the values into one"
        )
    for number, name in enumerate(attribute.labels):
        members[name].append(number)
    return members
