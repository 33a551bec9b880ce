"""Breakdown of results by an attribute."""

import json
import math
from collections.abc import Sequence

import pytest

from biomedgpt_fairseq.metrics.subgroups import Gap
from biomedgpt_fairseq.report.metadata import Attribute
from biomedgpt_fairseq.report.model import Measure, Row
from biomedgpt_fairseq.report.subgroups import break_down, group_rows

# Site b: 1, 1, 0, 1; site a: 0, 1, 0; site c: one row.
VALUES = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]
SITES = ["b", "a", "b", "a", "b", "a", "c", "b"]
ROWS = [Row(str(n), "x", -1.0, "x", value) for n, value in enumerate(VALUES)]
SITE = Attribute("site", SITES, "m.csv")


def measure(numbers: Sequence[int]) -> list[Measure]:
    """The mean, and a metric that only rows 0 to 3 have."""
    part = [n for n in numbers if n < 4]
    found = [Measure("score", mean(numbers), 0.0, 1.0, len(numbers), True, "by hand")]
    return [*found, Measure("part", mean(part), 0.0, math.nan, len(part))] if part else found


def mean(numbers: Sequence[int]) -> float:
    return sum(VALUES[n] for n in numbers) / len(numbers)


def test_each_group_has_its_own_metrics() -> None:
    found = break_down(SITE, ROWS, measure, min_rows=2, seed=1)

    assert [(group.name, group.rows, group.few) for group in found.groups] == [
        ("a", 3, False),
        ("b", 4, False),
        ("c", 1, True),
    ]
    assert [group.measures[0].value for group in found.groups] == [pytest.approx(1 / 3), 0.75, 1.0]


def test_small_groups_are_not_compared() -> None:
    found = break_down(SITE, ROWS, measure, min_rows=2, seed=1)

    assert found.gaps["score"] == Gap("a", "b", pytest.approx(0.75 - 1 / 3))
    assert found.chance is not None and found.chance.gap == pytest.approx(0.75 - 1 / 3)
    assert break_down(SITE, ROWS, measure, min_rows=1, seed=1).gaps["score"].best == "c"


def test_metrics_of_few_rows_of_a_large_group_are_not_compared() -> None:
    found = break_down(SITE, ROWS, measure, min_rows=3, seed=1)

    assert [group.few for group in found.groups] == [False, False, True]
    assert list(found.gaps) == ["score"]


def test_nothing_is_compared_without_two_large_groups() -> None:
    found = break_down(SITE, ROWS, measure, min_rows=4, seed=1)

    assert found.gaps == {} and found.chance is None
    assert found.line() == "by site: 3 groups, fewer than two with 4 rows or more"


def test_line_names_the_extreme_groups() -> None:
    line = break_down(SITE, ROWS, measure, min_rows=2, seed=1).line()

    assert line.startswith("by site: 3 groups; score lowest in 'a', 0.4167 below 'b'; p = ")


def test_entry_of_the_metrics_file_is_strict_json() -> None:
    entry = break_down(SITE, ROWS, measure, min_rows=2, seed=1).as_dict()

    again = json.loads(json.dumps(entry, allow_nan=False))
    assert (again["attribute"], again["origin"], again["min_rows"]) == ("site", "m.csv", 2)
    assert again["groups"][1] == {
        "group": "b",
        "rows": 4,
        "few_rows": False,
        "metrics": {
            "score": {"value": 0.75, "low": 0.0, "high": 1.0, "rows": 4, "source": "by hand"},
            "part": {"value": 1.0, "low": 0.0, "high": None, "rows": 2, "source": ""},
        },
    }
    assert again["gaps"]["score"]["worst"] == "a"
    assert set(again["correct_by_chance"]) == {"gap", "level95", "p_value"}


def test_attribute_with_too_many_values_is_refused() -> None:
    ages = Attribute("age", [str(n) for n in range(51)], "m.csv")

    with pytest.raises(ValueError, match=r"m\.csv: 'age' has 51 different values in 51 rows"):
        group_rows(ages)
