"""Pictures of pretraining pairs: random size, a crop, and boxes that move along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from biomedgpt_fairseq.data.augment_ops import random_augment
from biomedgpt_fairseq.data.boxes import Boxes, clip_boxes, resize_boxes, shift_boxes

MAX_SHORT_SIDE = 480
MAX_LONG_SIDE = 672


@dataclass(frozen=True)
class PairImages:
    """RGB pictures of any size -> squares of `size` pixels.

    training: the random forms; otherwise the picture is only stretched to the square.
    """

    size: int
    training: bool

    def __post_init__(self) -> None:
        if self.training and not 0 < self.size <= MAX_SHORT_SIDE:
            raise ValueError(
                f"--patch-image-size must be at most {MAX_SHORT_SIDE} in pretraining: pictures "
                f"are resized to a random side from it to {MAX_SHORT_SIDE}, found {self.size}"
            )

    def plain(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """A picture without boxes: random size, centre crop, two random operations."""
        if not self.training:
            return _resize(image, (self.size, self.size))
        image = self._random_size(image, rng)
        left, top = (image.width - self.size) // 2, (image.height - self.size) // 2
        return random_augment()(self._crop(image, left, top), rng)

    def with_box(
        self, image: Image.Image, box: Boxes, rng: np.random.Generator
    ) -> tuple[Image.Image, Boxes]:
        """A picture and its box (1, 4): random size, crop with the box as central as can be."""
        resized = _resize(image, (self.size, self.size))
        if self.training:
            resized = self._random_size(image, rng)
        box = resize_boxes(box, image.size, resized.size)
        if not self.training:
            return resized, box
        return crop_around(resized, box, self.size)

    def _random_size(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        short = int(rng.integers(self.size, MAX_SHORT_SIDE + 1))
        ratio = short / min(image.size)
        # Original: very long pictures are squeezed to the limit, not scaled down further.
        width, height = (min(round(side * ratio), MAX_LONG_SIDE) for side in image.size)
        return _resize(image, (max(width, short), max(height, short)))

    def _crop(self, image: Image.Image, left: int, top: int) -> Image.Image:
        return image.crop((left, top, left + self.size, top + self.size))


def crop_around(image: Image.Image, box: Boxes, side: int) -> tuple[Image.Image, Boxes]:
    """A square of the picture with the centre of the box (1, 4) in its middle, as far as the
    picture reaches, and the part of the box in it.
    """
    x, y = (box[0, :2] + box[0, 2:]) / 2
    left = min(max(round(x - side / 2), 0), image.width - side)
    top = min(max(round(y - side / 2), 0), image.height - side)
    cropped = image.crop((left, top, left + side, top + side))
    return cropped, clip_boxes(shift_boxes(box, left, top), (side, side))


def _resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)
