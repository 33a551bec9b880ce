"""Which rows a step sees: nothing lost, nothing repeated, the same again after a restart."""

from __future__ import annotations

import pickle
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from biomedgpt_fairseq.data.mixture import (
    EvaluationPlan,
    Pick,
    Plan,
    ReleasedPlan,
    SharesPlan,
    Source,
    Stream,
    source_seed,
)
from biomedgpt_fairseq.data.mixture_shares import apportion, shares_by_size

SEEDS = (1, 7)
SIDE = [Source("text", "text", 11), Source("image", "image", 5), Source("boxes", "detection", 3)]


def released(main: list[int] | None = None, seeds: tuple[int, int] = SEEDS) -> ReleasedPlan:
    return ReleasedPlan(main or [20], SIDE, seeds)


def shares(weights: list[float], slots: int = 40, seeds: tuple[int, int] = SEEDS) -> SharesPlan:
    sources = [Source("pairs", "image_text", 20), *SIDE]
    return SharesPlan(sources, weights, slots, seeds)


def run(plan: Plan, epochs: int) -> list[Pick]:
    return [
        pick
        for epoch in range(1, epochs + 1)
        for slot in range(plan.slots(epoch))
        for pick in plan.picks(epoch, slot)
    ]


def assert_own_epochs_are_whole(picks: list[Pick], rows: dict[int, int]) -> None:
    """Every epoch of a source but the last has each of its rows once, one epoch after another."""
    for source, count in rows.items():
        mine = [pick for pick in picks if pick.source == source]
        assert all(a.epoch <= b.epoch for a, b in pairwise(mine))
        by_epoch = Counter(pick.epoch for pick in mine)
        for epoch in range(1, max(by_epoch) + 1):
            seen = [pick.row for pick in mine if pick.epoch == epoch]
            assert len(set(seen)) == len(seen)
            if epoch < max(by_epoch):
                assert sorted(seen) == list(range(count))


def test_stream_has_every_row_once_an_epoch_in_changing_order() -> None:
    stream = Stream(7, seed=3)
    passes = [[stream(7 * e + i) for i in range(7)] for e in range(3)]
    assert [{epoch for epoch, _ in one} for one in passes] == [{1}, {2}, {3}]
    orders = [[row for _, row in one] for one in passes]
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert stream(3) == passes[0][3]  # going back gives the same


def test_stream_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="must have rows"):
        Stream(0, seed=1)


def test_released_ratios_are_two_texts_one_image_one_detection_in_eight() -> None:
    plan = released()
    kinds = [[pick.source for pick in plan.picks(1, slot)] for slot in range(20)]
    assert [len(k) for k in kinds] == [5 if slot % 8 == 0 else 1 for slot in range(20)]
    assert kinds[0] == kinds[8] == [0, 1, 1, 2, 3]


@pytest.mark.parametrize("main", [[20], [20, 9, 8]])
def test_released_sources_keep_their_own_epochs(main: list[int]) -> None:
    picks = run(released(main), 9)
    assert_own_epochs_are_whole(picks, {1: 11, 2: 5, 3: 3})
    for epoch in range(1, 10):
        plan = released(main)
        rows = [plan.picks(epoch, slot)[0].row for slot in range(plan.slots(epoch))]
        assert sorted(rows) == list(range(main[(epoch - 1) % len(main)]))


def test_items_follow_the_main_file_with_the_side_rows_of_the_slot() -> None:
    plan = released()
    assert [plan.item(3, i)[0] for i in range(20)] == [Pick(0, 3, i) for i in range(20)]
    assert plan.item(3, 8)[1:] == plan.picks(3, 8)[1:]


def test_released_passes_count_what_was_seen() -> None:
    plan = released()
    for epoch in (0, 1, 4):
        seen = Counter(pick.source for pick in run(plan, epoch))
        rows = [20, 11, 5, 3]
        assert plan.passes(epoch) == [seen[i] / rows[i] for i in range(4)]


@pytest.mark.parametrize("make", [released, lambda **k: shares([2, 1, 1, 0.5], **k)])
def test_plan_depends_on_seed_and_epoch_alone(make) -> None:  # type: ignore[no-untyped-def]
    whole = [make().picks(3, slot) for slot in range(20)]
    restarted = pickle.loads(pickle.dumps(make()))
    # A restart in the middle of an epoch asks for the rest only.
    assert [restarted.picks(3, slot) for slot in range(11, 20)] == whole[11:]
    assert [make().picks(4, slot) for slot in range(20)] != whole
    assert [make(seeds=(2, 7)).picks(3, slot) for slot in range(20)] != whole
    assert [make(seeds=(1, 8)).picks(3, slot) for slot in range(20)] != whole


def test_shares_are_kept_in_every_stretch() -> None:
    plan = shares([4, 2, 1, 1], slots=800)
    owners = [plan.picks(1, slot)[0].source for slot in range(800)]
    assert Counter(owners) == {0: 400, 1: 200, 2: 100, 3: 100}
    for start in range(0, 784, 16):
        window = Counter(owners[start : start + 16])
        assert abs(window[0] - 8) <= 1 and abs(window[1] - 4) <= 1
        assert abs(window[2] - 2) <= 1 and abs(window[3] - 2) <= 1


@pytest.mark.parametrize("weights", [[1, 1, 1, 1], [5, 0.1, 3, 1], [0.01, 1, 0, 0]])
def test_sources_of_a_free_mixture_keep_their_own_epochs(weights: list[float]) -> None:
    plan = shares(weights)
    picks = run(plan, 7)
    assert len(picks) == 7 * 40
    used = {i: n for i, n in enumerate([20, 11, 5, 3]) if weights[i] > 0}
    assert {pick.source for pick in picks} == set(used)
    assert_own_epochs_are_whole(picks, used)
    seen = Counter(pick.source for pick in picks)
    assert plan.passes(7) == [seen[i] / n for i, n in enumerate([20, 11, 5, 3])]


def test_evaluation_visits_every_row_once_in_order() -> None:
    plan = EvaluationPlan(SIDE)
    wanted = [Pick(i, 1, row) for i, n in enumerate((11, 5, 3)) for row in range(n)]
    assert run(plan, 1) == wanted
    assert [plan.picks(5, slot)[0] for slot in range(19)] == wanted


def test_sources_have_different_orders() -> None:
    assert len({source_seed(SEEDS, name) for name in ("text", "image", "main 0")}) == 3
    assert source_seed((1, 7), "text") != source_seed((7, 1), "text")


@pytest.mark.parametrize(
    ("total", "weights", "counts"),
    [
        (10, [1, 1], [5, 5]),
        (10, [2, 1], [7, 3]),
        (10, [0, 3], [0, 10]),
        (10, [1000, 1], [9, 1]),
        (7, [1, 1, 1], [3, 2, 2]),
    ],
)
def test_apportion_sums_up(total: int, weights: list[float], counts: list[int]) -> None:
    assert apportion(total, weights).tolist() == counts


@pytest.mark.parametrize("weights", [[0, 0], [-1, 2], [float("nan"), 1]])
def test_weights_must_be_positive(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="mixture weights must be 0 or more, one positive"):
        apportion(10, weights)


def test_epoch_must_have_a_row_of_each_source() -> None:
    with pytest.raises(ValueError, match="an epoch of 2 rows is too short for 3 sources"):
        apportion(2, [1, 1, 1])


def test_shares_by_size() -> None:
    assert shares_by_size([300, 100]) == [0.75, 0.25]
    assert shares_by_size([900, 100], temperature=2) == [0.75, 0.25]
    assert shares_by_size([900, 100], cap=300) == [0.75, 0.25]
    assert shares_by_size([9_000, 300], cap=900, temperature=1e9) == pytest.approx([0.5, 0.5])
    with pytest.raises(ValueError, match="--mixture-temperature must be positive"):
        shares_by_size([1], temperature=0)
    with pytest.raises(ValueError, match="--mixture-cap must be positive"):
        shares_by_size([1], cap=0)


def test_layout_differs_from_epoch_to_epoch() -> None:
    plan = shares([1, 1, 1, 1])
    owners = [[plan.picks(e, s)[0].source for s in range(40)] for e in (1, 2)]
    assert owners[0] != owners[1]
    assert np.bincount(owners[0]).tolist() == [10] * 4
