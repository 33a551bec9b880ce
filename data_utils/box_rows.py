"""Rows of pictures with boxes: checked when they are read, reduced together with their picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from biomedgpt_fairseq.data.boxes import checked_boxes, resize_boxes
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.text.box_text import NamedBox, format_named_boxes, parse_named_boxes
from data_utils.layouts import IMAGE, LABELS, Layout, Record
from data_utils.writer import RejectedItem

DETECTION = Layout("detection", ("id", IMAGE, LABELS), same=(IMAGE,))


def detected(
    record_id: str,
    image: Path,
    boxes: Iterable[NamedBox],
    size: tuple[int, int],
    split: str = "",
    group: str = "",
) -> Iterator[Record | RejectedItem]:
    """The row of a picture of (width, height) pixels with all its sound boxes, and the boxes that
    are rejected: without area or outside of the picture.  `x1` and `y1` lie behind the box.
    """
    sound = []
    for place, box in enumerate(boxes, start=1):
        fault = _fault(box, size)
        if fault:
            yield RejectedItem(f"{record_id}, box {place}", fault)
        else:
            sound.append(box)
    if not sound:
        yield RejectedItem(record_id, "no box")
        return
    try:
        labels = format_named_boxes(sound)
    except ValueError:
        yield RejectedItem(record_id, "a name that the form of boxes cannot hold")
        return
    yield Record(record_id, {"id": record_id, LABELS: labels}, split, group, image)


def _fault(box: NamedBox, size: tuple[int, int]) -> str:
    x0, y0, x1, y1 = box.corners
    if x1 <= x0 or y1 <= y0:
        return "box without area"
    try:
        checked_boxes(np.array([box.corners]), size)
    except BadRow:
        return "box outside of the picture"
    return ""


def reduced(labels: str, old: tuple[int, int], new: tuple[int, int]) -> str:
    """The cell of boxes of a picture that was stored with another (width, height)."""
    if old == new:
        return labels
    boxes = parse_named_boxes(labels)
    corners = resize_boxes(np.array([box.corners for box in boxes]), old, new)
    return format_named_boxes(
        NamedBox((x0, y0, x1, y1), box.tag, box.name)
        for (x0, y0, x1, y1), box in zip(corners.tolist(), boxes, strict=True)
    )
