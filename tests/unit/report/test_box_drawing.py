"""Boxes over the pictures of the report."""

from __future__ import annotations

import re

import numpy as np
import pytest

from biomedgpt_fairseq.report.box_drawing import LONG_SIDE, draw_boxes
from biomedgpt_fairseq.report.box_scoring import located, task_boxes
from biomedgpt_fairseq.report.html import render
from biomedgpt_fairseq.report.model import Measure, ReportData, Row, ShownExample


@pytest.mark.parametrize("size", [(64, 64), (640, 480), (512, 300), (80, 512)])
def test_names_are_legible_and_inside_at_every_size(size: tuple[int, int]) -> None:
    width, height = size
    corners = f"0,0,{width},{height}"
    gold, found = located(f"{corners},1,mass"), located(f"{corners},0.75,mass", scored=True)
    drawing = draw_boxes(gold, found, size)
    assert max(drawing.width, drawing.height) == LONG_SIDE
    assert drawing.width / drawing.height == pytest.approx(width / height)
    first, second = drawing.boxes
    assert (first.kind, first.text, second.kind, second.text) == (
        *("gold", "mass", "found", "mass 0.75"),
    )
    for box in drawing.boxes:
        assert (box.width, box.height) == pytest.approx((drawing.width, drawing.height))
        assert drawing.font <= box.text_y <= drawing.height and 0 <= box.text_x < drawing.width


def test_boxes_keep_their_place_in_the_picture() -> None:
    drawing = draw_boxes(located("16,32,48,40,1,a"), located("", scored=True), (64, 64))
    (box,) = drawing.boxes
    unit = LONG_SIDE / 64
    assert [box.x, box.y, box.width, box.height] == [16 * unit, 32 * unit, 32 * unit, 8 * unit]


def test_crowded_pictures_have_small_names_without_scores() -> None:
    cell = "&&".join(f"{i},0,{i + 5},9,0.5,cell" for i in range(9))
    drawing = draw_boxes(located(cell), located(cell, scored=True), (64, 64))
    assert drawing.font < 12 and {box.text for box in drawing.boxes} == {"cell"}


def test_page_shows_both_kinds_and_escapes_names() -> None:
    gold, found = "1,1,9,9,0,<b>&", "2,2,9,9,0.5,mass"
    drawing = draw_boxes(located(gold), located(found, scored=True), (16, 16))
    shown = ShownExample(
        Row("r", found, -1.0, gold, 0.0), "what?", "data:image/png;base64,", drawing
    )
    page = render(
        ReportData("t", "detection", "test", [Measure("mAP", 0, 0, 0, 1)], {}, worst=[shown])
    )
    assert len(re.findall(r'<rect class="(gold|found)"', page)) == 2
    assert "mass 0.50</text>" in page and "&lt;b&gt;&amp;</text>" in page
    assert "<image href=" in page and "<img" not in page


def test_region_of_a_text_has_no_name() -> None:
    region = task_boxes("visual_grounding", "1,2,3,4")
    assert region.corners.tolist() == [[1, 2, 3, 4]] and list(region.names) == [""]
    assert np.array_equal(region.scores, [1.0])
