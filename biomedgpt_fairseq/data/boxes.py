"""Boxes in pictures: checks, moves with the picture, and their form as location bins.

A box is x0, y0, x1, y1 in pixels; boxes are arrays (n, 4) float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.text.box_text import parse_corners

Boxes = npt.NDArray[np.float64]

_ROUNDING = 1.0  # annotated boxes may reach this many pixels out of the picture


def parse_box(cell: str) -> Boxes:
    """The box (1, 4) of a text `x0,y0,x1,y1`.  Raises BadRow for any other text."""
    try:
        return np.array([parse_corners(cell)])
    except ValueError as error:
        raise BadRow(str(error)) from None


def checked_boxes(boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """The boxes, moved inside a picture of (width, height) where rounding put them out of it.

    Raises BadRow for a box without area or outside of the picture.
    """
    width, height = size
    for box in boxes:
        x0, y0, x1, y1 = box
        shown = ",".join(f"{value:g}" for value in box)
        if x1 <= x0 or y1 <= y0:
            raise BadRow(f"box {shown} has no area: x0 < x1 and y0 < y1 must hold")
        if min(x0, y0) < -_ROUNDING or x1 > width + _ROUNDING or y1 > height + _ROUNDING:
            raise BadRow(
                f"box {shown} lies outside of the picture of {width} x {height} pixels; corners "
                "are in pixels of the stored picture"
            )
    inside = clip_boxes(boxes, size)
    if not has_area(inside).all():
        raise BadRow(f"a box lies outside of the picture of {width} x {height} pixels")
    return inside


def clip_boxes(boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """The part of each box in a picture of (width, height); possibly without area."""
    clipped: Boxes = np.clip(boxes, 0, np.array([*size, *size], dtype=np.float64))
    return clipped


def has_area(boxes: Boxes) -> npt.NDArray[np.bool_]:
    """Which boxes (n,) are not empty."""
    wide_and_high: npt.NDArray[np.bool_] = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    return wide_and_high


def resize_boxes(boxes: Boxes, old: tuple[int, int], new: tuple[int, int]) -> Boxes:
    """Boxes of a picture that was resized from (width, height) `old` to `new`; the inverse takes
    them the other way round.
    """
    ratios = np.array(new, dtype=np.float64) / np.array(old)
    resized: Boxes = boxes * np.tile(ratios, 2)
    return resized


def shift_boxes(boxes: Boxes, left: int, top: int) -> Boxes:
    """Boxes of a picture cut off at the left and at the top; the inverse has -left and -top."""
    return boxes - np.array([left, top, left, top], dtype=np.float64)


def flip_boxes(boxes: Boxes, width: int) -> Boxes:
    """Boxes of the mirror image, left and right exchanged; its own inverse."""
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)


def boxes_to_bins(boxes: Boxes, max_image_size: float, num_bins: int) -> npt.NDArray[np.int64]:
    """Bin (n, 4) of each corner, in [0, num_bins).

    A coordinate of max_image_size has the last bin, whatever the size of the picture: that is the
    scale of the released models.  Raises ValueError for coordinates outside [0, max_image_size].
    """
    if num_bins < 1:
        raise ValueError("boxes need location bins; --num-bins must be positive (released: 1000)")
    if boxes.size and (boxes.min() < 0 or boxes.max() > max_image_size):
        raise ValueError(
            f"box corners must lie in [0, {max_image_size:g}] (--max-image-size), "
            f"found {boxes.min():g} to {boxes.max():g}"
        )
    return np.rint(boxes / max_image_size * (num_bins - 1)).astype(np.int64)


def bins_to_boxes(bins: npt.ArrayLike, max_image_size: float, num_bins: int) -> Boxes:
    """Boxes of bins (n, 4), each corner within half a bin of what `boxes_to_bins` was given."""
    return np.asarray(bins, dtype=np.float64) / (num_bins - 1) * max_image_size


@dataclass(frozen=True)
class BoxScale:
    """Pixels of a picture to location bins, and back.

    side: of the square to which the whole picture is stretched; max_image_size: coordinate in that
    square of the last of num_bins bins.
    """

    side: int
    max_image_size: float
    num_bins: int

    def to_bins(self, boxes: Boxes, size: tuple[int, int]) -> npt.NDArray[np.int64]:
        """Bins (n, 4) of boxes inside a picture of (width, height)."""
        square = resize_boxes(boxes, size, (self.side, self.side))
        return boxes_to_bins(square, self.max_image_size, self.num_bins)

    def to_pixels(self, bins: npt.ArrayLike, size: tuple[int, int]) -> Boxes:
        """Boxes in a picture of (width, height), each corner within half a bin of what `to_bins`
        was given.
        """
        square = bins_to_boxes(bins, self.max_image_size, self.num_bins)
        return clip_boxes(resize_boxes(square, (self.side, self.side), size), size)

    @property
    def last_bin(self) -> int:
        """The bin of the right and the lower edge: the last one that a picture needs."""
        return int(
            boxes_to_bins(np.array([float(self.side)]), self.max_image_size, self.num_bins)[0]
        )
