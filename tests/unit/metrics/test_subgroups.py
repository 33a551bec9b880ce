"""Gaps between groups, and what chance makes of them."""

import numpy as np
import pytest

from biomedgpt_fairseq.metrics.subgroups import Gap, chance_gap, widest_gap


def test_gap_is_between_the_extremes() -> None:
    gap = widest_gap({"a": 0.5, "b": 0.75, "c": 0.25})

    assert gap == Gap("c", "b", 0.5)
    assert widest_gap({"a": 0.5, "b": 0.5}) == Gap("a", "b", 0.0)


@pytest.mark.parametrize("values", [{}, {"a": 1.0}])
def test_one_group_has_no_gap(values: dict[str, float]) -> None:
    assert widest_gap(values) is None
    assert chance_gap(list(values.values()), list(values), seed=1) is None


def test_real_difference_is_rare_by_chance() -> None:
    found = chance_gap([1.0] * 30 + [0.0] * 30, ["x"] * 30 + ["y"] * 30, seed=1, draws=200)

    assert found is not None
    assert found.gap == 1.0 and found.level95 < 0.4
    assert found.p_value == pytest.approx(1 / 201)


def test_gap_of_a_random_division_is_usual() -> None:
    values = np.random.default_rng(4).random(200)
    labels = [str(n % 8) for n in range(200)]

    found = chance_gap(values, labels, seed=1, draws=300)
    assert found is not None
    assert found.gap > 0.05 and found.p_value > 0.05
    assert found == chance_gap(values, labels, seed=1, draws=300)
    assert found != chance_gap(values, labels, seed=2, draws=300)


def test_every_division_of_equal_rows_has_the_same_gap() -> None:
    found = chance_gap([0.1] * 7, list("aabbbcc"), seed=1, draws=50)

    assert found is not None
    assert found.gap == pytest.approx(0, abs=1e-12) and found.p_value == 1.0


def test_p_value_is_that_of_all_divisions() -> None:
    # Of the 6 divisions of 1, 1, 0, 0 into two pairs, two have a gap of 1.
    found = chance_gap([1, 1, 0, 0], list("aabb"), seed=3, draws=3000)

    assert found is not None
    assert found.p_value == pytest.approx(1 / 3, abs=0.03)
