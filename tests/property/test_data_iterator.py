"""Sharding, order and resuming of batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("fairseq")

from fairseq.data.iterators import GroupedIterator

from biomedgpt_fairseq.data.examples import Example
from biomedgpt_fairseq.data.fairseq_dataset import RowDataset
from biomedgpt_fairseq.data.fairseq_iterator import BatchOptions, RowBatchIterator
from biomedgpt_fairseq.data.sampling import epoch_order, row_generator

TOKENS = torch.tensor([0, 2])


def build(row: int, rng: np.random.Generator, index: int) -> Example:
    return Example(str(row), TOKENS, TOKENS, TOKENS, None)


def iterator(num_rows: int, size: int, shards: int = 1, shard: int = 0) -> RowBatchIterator:
    rows = RowDataset(list(range(num_rows)), build, pad=1, seed=5, shuffle=True)
    return RowBatchIterator(rows, BatchOptions(size, shards, shard))


def ids(batches: object) -> list[list[str]]:
    return [batch["id"].tolist() if batch else [] for batch in batches]  # type: ignore[attr-defined]


SIZES = st.integers(1, 40)


@settings(deadline=None, max_examples=60)
@given(num_rows=SIZES, size=st.integers(1, 9), shards=st.integers(1, 7), epochs=st.integers(1, 3))
def test_each_row_comes_once_and_steps_keep_the_global_order(
    num_rows: int, size: int, shards: int, epochs: int
) -> None:
    iterators = [iterator(num_rows, size, shards, shard) for shard in range(shards)]
    for epoch in range(1, epochs + 1):
        per_shard = [ids(it.next_epoch_itr()) for it in iterators]
        assert {len(batches) for batches in per_shard} == {len(iterators[0])}
        by_step = [row for step in zip(*per_shard, strict=True) for batch in step for row in batch]
        assert by_step == [str(i) for i in epoch_order(num_rows, 5, epoch).tolist()]


@settings(deadline=None, max_examples=60)
@given(num_rows=SIZES, size=st.integers(1, 9), shards=st.integers(1, 3), data=st.data())
def test_resumed_run_goes_on_where_it_was(
    num_rows: int, size: int, shards: int, data: st.DataObject
) -> None:
    shard = data.draw(st.integers(0, shards - 1))
    whole = iterator(num_rows, size, shards, shard)
    done = data.draw(st.integers(0, 2 * len(whole)))
    expected = [batch for _ in range(3) for batch in ids(whole.next_epoch_itr())]

    first = iterator(num_rows, size, shards, shard)
    seen = []
    batches = first.next_epoch_itr()
    for _ in range(done):
        if not batches.has_next():
            batches = first.next_epoch_itr()
        seen += ids([next(batches)])
    state = first.state_dict()
    assert state.keys() >= {"version", "epoch", "iterations_in_epoch", "shuffle"}

    second = iterator(num_rows, size, shards, shard)
    second.load_state_dict(state)
    while len(seen) < len(expected):
        seen += ids(second.next_epoch_itr())
    assert seen == expected


class Job:
    """A run over some processes, with batches grouped into updates as the trainer does."""

    def __init__(self, num_rows: int, size: int, shards: int, group: int) -> None:
        self.shards = [iterator(num_rows, size, shards, shard) for shard in range(shards)]
        self.group = group

    def load(self, state: dict[str, Any]) -> None:
        for shard in self.shards:
            shard.load_state_dict(state)

    def train(self, updates: int) -> tuple[list[str], int]:
        """Rows of so many updates, or of the rest of the epoch; and the updates that were made."""
        groups = [GroupedIterator(s.next_epoch_itr(), self.group) for s in self.shards]
        rows: list[str] = []
        for done in range(updates):
            if not groups[0].has_next():
                return rows, done
            batches = zip(*(next(group) for group in groups), strict=True)
            rows += [row for step in batches for batch in ids(step) for row in batch]
        return rows, updates

    def state(self) -> dict[str, Any]:
        states = [shard.state_dict() for shard in self.shards]
        assert all(state == states[0] for state in states)
        return states[0]


LAYOUT = st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))


@settings(deadline=None, max_examples=150)
@given(num_rows=SIZES, legs=st.lists(st.tuples(LAYOUT, st.integers(1, 4)), min_size=2, max_size=6))
def test_each_row_comes_once_however_often_the_processes_change(
    num_rows: int, legs: list[tuple[tuple[int, int, int], int]]
) -> None:
    seen: list[str] = []
    state: dict[str, Any] | None = None
    for layout, updates in [*legs, ((1, 1, 1), 2 * num_rows)]:
        job = Job(num_rows, *layout)
        if state is not None:
            job.load(state)
        seen += job.train(updates)[0]
        state = job.state()
        if state["iterations_in_epoch"] == 0:
            break
    assert state is not None and state["epoch"] == 2
    assert seen == [str(i) for i in epoch_order(num_rows, 5, 1).tolist()]


def test_state_without_rows_counts_batches_of_the_present_shards() -> None:
    second = iterator(20, 2, shards=2, shard=1)
    second.load_state_dict({"version": 2, "epoch": 1, "iterations_in_epoch": 3, "shuffle": False})
    order = [str(i) for i in epoch_order(20, 5, 1).tolist()]
    assert ids(second.next_epoch_itr()) == [order[14:16], order[18:20]]


def test_remainder_of_a_resumed_epoch_is_not_lost_when_it_is_less_than_a_step() -> None:
    rows = RowDataset(list(range(10)), build, pad=1, seed=5, shuffle=True)
    first = RowBatchIterator(rows, BatchOptions(2, skip_remainder=True))
    batches = first.next_epoch_itr()
    for _ in range(4):
        next(batches)
    wide = RowBatchIterator(rows, BatchOptions(2, 3, 0, skip_remainder=True))
    wide.load_state_dict(first.state_dict())
    assert ids(wide.next_epoch_itr()) == [[str(i) for i in epoch_order(10, 5, 1).tolist()[8:]]]


@given(st.integers(0, 200), st.integers(-5, 2**64), st.integers(0, 100))
def test_order_is_a_permutation_and_repeats(num_rows: int, seed: int, epoch: int) -> None:
    order = epoch_order(num_rows, seed, epoch)
    assert sorted(order.tolist()) == list(range(num_rows))
    assert torch.equal(order, epoch_order(num_rows, seed, epoch))


KEYS = st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))


@given(KEYS, KEYS)
def test_randomness_belongs_to_seed_epoch_and_row(
    first: tuple[int, int, int], second: tuple[int, int, int]
) -> None:
    same = np.array_equal(row_generator(*first).random(4), row_generator(*second).random(4))
    assert same == (first == second)
