from __future__ import annotations

import numpy as np
import pytest

from biomedgpt_fairseq.data.boxes import boxes_to_bins, checked_boxes, flip_boxes, parse_box
from biomedgpt_fairseq.data.errors import BadRow


def test_bins_are_rounded_shares_of_the_largest_size() -> None:
    box = np.array([[0.0, 256.0, 512.0, 22.0]])
    assert boxes_to_bins(box, 512, 1000).tolist() == [[0, 500, 999, 43]]


def test_mirror_image_exchanges_left_and_right() -> None:
    assert flip_boxes(np.array([[10.0, 20.0, 40.0, 60.0]]), 100).tolist() == [[60, 20, 90, 60]]


@pytest.mark.parametrize("cell", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,nan,4", "1,2,inf,4"])
def test_text_that_is_no_box_is_a_bad_row(cell: str) -> None:
    with pytest.raises(BadRow, match="expected a box as x0,y0,x1,y1 in pixels"):
        parse_box(cell)


@pytest.mark.parametrize("cell", ["5,5,5,9", "5,5,9,5", "9,5,5,9"])
def test_box_without_area_is_a_bad_row(cell: str) -> None:
    with pytest.raises(BadRow, match=rf"box {cell} has no area"):
        checked_boxes(parse_box(cell), (20, 20))


@pytest.mark.parametrize("cell", ["-4,0,5,5", "0,0,5,25", "30,30,40,40", "20,3,20.5,9"])
def test_box_outside_is_a_bad_row(cell: str) -> None:
    with pytest.raises(BadRow, match=r"outside of the picture of 20 x 20 pixels"):
        checked_boxes(parse_box(cell), (20, 20))


def test_box_that_rounding_put_outside_is_moved_in() -> None:
    inside = checked_boxes(parse_box("-0.5,0,20.9,10"), (20, 20))
    assert inside.tolist() == [[0, 0, 20, 10]]


def test_bins_that_do_not_reach_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must lie in \[0, 300\] \(--max-image-size\)"):
        boxes_to_bins(parse_box("0,0,301,5"), 300, 1000)
    with pytest.raises(ValueError, match="--num-bins must be positive"):
        boxes_to_bins(parse_box("0,0,1,5"), 300, 0)
