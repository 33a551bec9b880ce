"""Boxes -> bins -> boxes, and boxes that move with their picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biomedgpt_fairseq.data.boxes import (
    bins_to_boxes,
    boxes_to_bins,
    clip_boxes,
    flip_boxes,
    resize_boxes,
    shift_boxes,
)

corner = st.floats(0, 512, allow_nan=False)
boxes = st.lists(st.tuples(corner, corner, corner, corner), min_size=1, max_size=5).map(np.array)


@given(boxes, st.sampled_from([512, 600, 1000]), st.sampled_from([100, 1000]))
def test_box_comes_back_within_half_a_bin(box: np.ndarray, scale: int, num_bins: int) -> None:
    bins = boxes_to_bins(box, scale, num_bins)
    assert bins.min() >= 0 and bins.max() < num_bins
    back = bins_to_boxes(bins, scale, num_bins)
    assert np.abs(back - box).max() <= scale / (num_bins - 1) / 2 + 1e-9


@given(st.lists(st.integers(0, 999), min_size=4, max_size=4))
def test_bins_come_back_exactly(bins: list[int]) -> None:
    found = boxes_to_bins(bins_to_boxes([bins], 512, 1000), 512, 1000)
    assert found.tolist() == [bins]


@given(boxes)
def test_mirrored_twice_is_the_same(box: np.ndarray) -> None:
    assert flip_boxes(flip_boxes(box, 512), 512) == pytest.approx(box, abs=1e-9)


@given(boxes, st.tuples(st.integers(1, 900), st.integers(1, 900)))
def test_resized_back_is_the_same(box: np.ndarray, new: tuple[int, int]) -> None:
    there = resize_boxes(box, (512, 512), new)
    assert resize_boxes(there, new, (512, 512)) == pytest.approx(box, abs=1e-6)


@given(boxes, st.integers(-300, 300), st.integers(-300, 300))
def test_clipped_box_is_what_both_share(box: np.ndarray, left: int, top: int) -> None:
    seen = clip_boxes(shift_boxes(box, left, top), (256, 256))
    assert seen.min() >= 0 and seen.max() <= 256
    inside = (box >= [left, top, left, top]) & (box <= [left + 256, top + 256] * 2)
    moved = box - [left, top, left, top]
    assert seen[inside] == pytest.approx(moved[inside])
