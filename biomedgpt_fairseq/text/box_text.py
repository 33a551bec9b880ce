"""THE text form of boxes: `x0,y0,x1,y1,tag,name` joined by `&&`, corners in pixels.

The tag is the number of the category in data, and the score of the box in answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

JOINT = "&&"
MAX_BOXES = 10_000
"""Boxes of a cell.  Answers have room for a hundred or two."""
Corners = tuple[float, float, float, float]


class NamedBox(NamedTuple):
    """A box x0, y0, x1, y1 and what is in it."""

    corners: Corners
    tag: str
    name: str


def parse_corners(text: str) -> Corners:
    """The box of a text `x0,y0,x1,y1`.  Raises ValueError for any other text."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise ValueError(f"expected a box as x0,y0,x1,y1 in pixels, found {text[:80]!r}")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def parse_named_boxes(cell: str) -> list[NamedBox]:
    """Boxes of a cell; names may hold commas.  Raises ValueError when there is none, or more than
    MAX_BOXES, or an item has another form.
    """
    count = cell.count(JOINT) + 1
    if count > MAX_BOXES:
        raise ValueError(
            f"{count:,} objects in one picture, more than the limit of {MAX_BOXES:,}; leave out "
            "the small ones, or divide the picture"
        )
    found = []
    for item in cell.removesuffix(JOINT).split(JOINT):  # old converters left one at the end
        parts = item.split(",", 5)
        if len(parts) != 6 or not parts[5].strip():
            raise ValueError(
                f"expected objects as x0,y0,x1,y1,category,name joined by &&, found {item[:80]!r}"
            )
        found.append(NamedBox(parse_corners(",".join(parts[:4])), parts[4], parts[5].strip()))
    return found


def format_corners(corners: Iterable[float]) -> str:
    """The text of a box, to a hundredth of a pixel."""
    return ",".join(f"{value:.2f}".rstrip("0").rstrip(".") for value in corners)


def format_named_boxes(boxes: Iterable[NamedBox]) -> str:
    """The cell of boxes.  Raises ValueError for a name that the form cannot hold."""
    items = []
    for corners, tag, name in boxes:
        if JOINT in name or "," in tag or not name.strip():
            raise ValueError(f"names of objects must be words without {JOINT}, found {name!r}")
        items.append(f"{format_corners(corners)},{tag},{name}")
    return JOINT.join(items)
