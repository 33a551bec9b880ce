from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from biomedgpt_fairseq.data.composition import Example
from biomedgpt_fairseq.data.detection import (
    Objects,
    make_detection_examples,
    parse_objects,
    random_view,
)
from biomedgpt_fairseq.data.errors import BadRow

BIN0 = 4 + 257 + 1 + 64  # specials, pieces, <mask>, codes


def make(tools: Any, row: list[str], seed: int = 0, **options: Any) -> Example:
    (example,) = make_detection_examples(row, *tools(**options), np.random.default_rng(seed))
    return example


def test_names_may_hold_commas_and_a_joint_may_end_the_cell() -> None:
    found = parse_objects("1,2,3,4,0,mass, left lung&&5,6,7,8,2,liver&&")
    assert found.names == ["mass, left lung", "liver"]
    assert found.boxes.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize("cell", ["", "&&", "1,2,3,4", "1,2,3,4,0", "1,2,3,4,0, ", "1,2,x,4,0,a"])
def test_other_labels_are_bad_rows(cell: str) -> None:
    with pytest.raises(BadRow, match="expected (objects as|a box as)"):
        parse_objects(cell)


def test_target_is_bins_then_name_of_each_object(
    pretrain_tools: Any, png: Callable[..., str], byte_tokenizer: Any
) -> None:
    row = ["d1", png(128, 64), "0,0,128,64,0,lung&&8,8,16,16,3,node"]
    example = make(pretrain_tools, row, training=False)
    # Stretched to 64 x 64, so half as wide; divided by 512 times 999.
    encode = byte_tokenizer.encode
    first, second = [0, 0, 125, 125], [8, 16, 16, 31]
    wanted = [*(BIN0 + b for b in first), *encode(" lung")]
    wanted += [*(BIN0 + b for b in second), *encode(" node"), 2]
    assert example.target.tolist() == wanted
    assert example.prev_output.tolist() == [0, *wanted[:-1]]
    assert example.source.tolist() == [0, *encode(" what are the objects in the image?"), 2]
    assert example.image is not None and example.image.shape == (3, 64, 64)
    assert (example.row_id, example.conf, example.is_code) == ("d1", 1.0, False)


def test_training_weight_is_two(pretrain_tools: Any, png: Callable[..., str]) -> None:
    row = ["d1", png(70, 64), "0,0,70,64,0,lung"]
    example = make(pretrain_tools, row)
    assert example.conf == 2.0 and example.image_is_real


def test_boxes_stay_on_their_object_in_random_views() -> None:
    pixels = np.full((90, 120, 3), 60, np.uint8)
    pixels[30:50, 20:60] = 255
    image = Image.fromarray(pixels)
    objects = Objects(np.array([[20.0, 30.0, 60.0, 50.0]]), ["lung"])
    sizes = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        view, seen = random_view(image, objects, 64, 0.5, rng)
        assert view.size == (64, 64)
        bright = np.array(view.convert("L")) > 160
        rows, cols = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
        if len(rows) == 0:
            continue  # a sliver of a pixel
        x0, y0, x1, y1 = seen.boxes[0]
        found = [cols[0], rows[0], cols[-1] + 1, rows[-1] + 1]
        assert np.abs(np.array(found) - [x0, y0, x1, y1]).max() <= 1.5
        sizes.append(y1 - y0)
    # Scaled by 64/90 to 1.5 times that: 14 to 21 pixels high where they are seen whole.
    assert max(sizes) == pytest.approx(21.3, abs=0.7)


@pytest.mark.parametrize(("flip", "column"), [(0.0, 0), (1.0, 63)])
def test_flip_probability_is_kept(flip: float, column: int) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :8] = 255
    for seed in range(20):
        objects = Objects(np.array([[0.0, 0.0, 64.0, 64.0]]), ["all"])
        rng = np.random.default_rng(seed)
        view, _ = random_view(Image.fromarray(pixels), objects, 64, flip, rng)
        other = 63 - column
        assert np.array(view)[:, other].max() <= 128


def test_objects_outside_of_the_view_are_dropped_but_one_stays() -> None:
    image = Image.new("RGB", (400, 64))
    ends = np.array([[0.0, 0.0, 5.0, 5.0], [395.0, 59.0, 400.0, 64.0]])
    for seed in range(60):
        objects = Objects(ends, ["left", "right"])
        view, seen = random_view(image, objects, 64, 0.0, np.random.default_rng(seed))
        assert len(seen.boxes) == 1 and view.size == (64, 64)
        assert (seen.boxes[:, 2:] > seen.boxes[:, :2]).all()


def test_bad_boxes_name_the_picture(pretrain_tools: Any, png: Callable[..., str]) -> None:
    with pytest.raises(BadRow, match="outside of the picture of 70 x 64 pixels"):
        make(pretrain_tools, ["d", png(70, 64), "0,0,90,64,0,lung"])
    with pytest.raises(BadRow, match="has no area"):
        make(pretrain_tools, ["d", png(70, 64), "5,0,5,64,0,lung"])
    with pytest.raises(BadRow, match="expected 3 columns .*--detection-selected-cols"):
        make(pretrain_tools, ["d", "0,0,70,64,0,lung"])
