"""Rows of pictures with objects -> examples that ask for all boxes and their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from biomedgpt_fairseq.data.boxes import (
    Boxes,
    boxes_to_bins,
    checked_boxes,
    clip_boxes,
    flip_boxes,
    has_area,
    resize_boxes,
    shift_boxes,
)
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import load_image
from biomedgpt_fairseq.data.pair_images import crop_around
from biomedgpt_fairseq.data.pretrain_parts import (
    Composer,
    Examples,
    PretrainOptions,
    PretrainTools,
    Wording,
    columns,
)
from biomedgpt_fairseq.text.box_text import parse_named_boxes

DETECTION_COLUMNS = ("id", "image", "boxes")

_MAX_ZOOM = 1.5
_CROP_TRIES = 10


@dataclass(frozen=True)
class Objects:
    """Boxes (n, 4) and the names of what is in them."""

    boxes: Boxes
    names: list[str]

    def where(self, kept: np.ndarray) -> Objects:
        """The objects of a mask (n,)."""
        names = [name for name, keep in zip(self.names, kept, strict=True) if keep]
        return Objects(self.boxes[kept], names)


def make_detection_examples(
    row: Sequence[str], tools: PretrainTools, options: PretrainOptions, rng: np.random.Generator
) -> Examples:
    """A row of DETECTION_COLUMNS: picture -> four location bins and the name of each object."""
    row_id, cell, labels = columns(row, DETECTION_COLUMNS, "--detection-selected-cols")
    objects = parse_objects(labels)
    image = load_image(cell, tools.source)
    objects = Objects(checked_boxes(objects.boxes, image.size), objects.names)
    if options.training:
        picture, objects = random_view(image, objects, options.side, options.flip, rng)
    else:
        picture = image.resize((options.side, options.side), Image.Resampling.BICUBIC)
        objects = Objects(resize_boxes(objects.boxes, image.size, picture.size), objects.names)
    composer = Composer(row_id, tools, options, rng)
    bins = boxes_to_bins(objects.boxes, options.max_image_size, composer.vocab.num_bins)
    target: list[int] = []
    for corners, name in zip(bins, objects.names, strict=True):
        target += [*composer.bins(corners), *composer.encode(" " + name)]
    wording = Wording(composer.fill("detection"), target, labels)
    example = composer.example(wording, options.side_conf)
    example.is_code = False
    return composer.with_picture(picture, example)


def parse_objects(cell: str) -> Objects:
    """Objects of `x0,y0,x1,y1,category,name` items joined by `&&`; a name may hold commas.

    Raises BadRow when there is none or an item has another form.
    """
    try:
        found = parse_named_boxes(cell)
    except ValueError as error:
        raise BadRow(str(error)) from None
    return Objects(np.array([box.corners for box in found]), [box.name for box in found])


def random_view(
    image: Image.Image, objects: Objects, side: int, flip: float, rng: np.random.Generator
) -> tuple[Image.Image, Objects]:
    """A random square of the picture at 1 to 1.5 times the size that just fits, and what it shows
    of the objects; possibly mirrored.
    """
    boxes = objects.boxes
    if rng.random() < flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        boxes = flip_boxes(boxes, image.width)
    short = round(rng.uniform(1.0, _MAX_ZOOM) * side)
    ratio = short / min(image.size)
    size = (max(round(image.width * ratio), short), max(round(image.height * ratio), short))
    boxes = resize_boxes(boxes, image.size, size)
    image = image.resize(size, Image.Resampling.BICUBIC)
    for _ in range(_CROP_TRIES):
        left, top = (int(rng.integers(length - side + 1)) for length in size)
        seen = clip_boxes(shift_boxes(boxes, left, top), (side, side))
        if has_area(seen).any():
            cropped = image.crop((left, top, left + side, top + side))
            return cropped, Objects(seen, objects.names).where(has_area(seen))
    # Original: a square without objects, and nothing to say; here one with an object in it.
    chosen = int(rng.integers(len(boxes)))
    cropped, seen = crop_around(image, boxes[chosen : chosen + 1], side)
    return cropped, Objects(seen, [objects.names[chosen]])
