"""Random augmentation of training pictures for classification."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from biomedgpt_fairseq.data.augment_ops import (
    Canvas,
    Color,
    affine,
    rand_augment,
    random_augment,
)
from biomedgpt_fairseq.data.pixels import ImageScale

Range = tuple[float, float]
Box = tuple[int, int, int, int]

_CROP_TRIES = 10
_ERASE_TRIES = 10
_ERASE_AREA: Range = (0.02, 1 / 3)
_ERASE_RATIO: Range = (0.3, 1 / 0.3)


@dataclass(frozen=True)
class AugmentConfig:
    """Stages in the order in which they are applied; each is off by default.

    crop_scale: share of the area that a random crop keeps; crop_ratio: its width / height.
    flip: probability of a mirror image.
    degrees, translate, zoom: rotation up to +-degrees, shift up to +-translate (share of the side),
    magnification; keep_inside: draw them so that no part of the picture leaves the frame.
    brightness: factor 1 +- brightness.
    rand_augment, random_augment: the two policies of the released recipes.
    erase: probability that a rectangle becomes noise.
    """

    crop_scale: Range | None = None
    crop_ratio: Range = (3 / 4, 4 / 3)
    flip: float = 0.0
    degrees: float = 0.0
    translate: float = 0.0
    zoom: Range = (1.0, 1.0)
    keep_inside: bool = False
    brightness: float = 0.0
    rand_augment: bool = False
    random_augment: bool = False
    erase: float = 0.0

    @property
    def moves(self) -> bool:
        """Whether the picture is rotated, shifted or zoomed."""
        return self.degrees > 0 or self.translate > 0 or self.zoom != (1.0, 1.0)


PRESETS: dict[str, AugmentConfig] = {
    "released": AugmentConfig(
        crop_scale=(0.08, 1.0), flip=0.5, rand_augment=True, random_augment=True, erase=0.25
    ),
    "gentle": AugmentConfig(
        crop_scale=(0.7, 1.0),
        flip=0.5,
        degrees=10,
        translate=0.05,
        zoom=(0.95, 1.05),
        brightness=0.1,
    ),
    # Left and right stay, and everything that was in the picture is still in it.
    "laterality-safe": AugmentConfig(
        degrees=7, translate=0.05, zoom=(0.85, 1.0), keep_inside=True, brightness=0.1
    ),
    "none": AugmentConfig(),
}


def build_augmentation(
    preset: str, mean: Sequence[float], std: Sequence[float]
) -> ImageAugmentation | None:
    """Augmentation by its name; None for "none".  mean, std: of the normalisation.

    Raises ValueError for an unknown name.
    """
    if preset not in PRESETS:
        raise ValueError(f"--augmentation must be one of {', '.join(PRESETS)}, found {preset!r}")
    config = PRESETS[preset]
    return None if config == AugmentConfig() else ImageAugmentation(config, mean)


class ImageAugmentation:
    """Applies the stages of a config.  All randomness comes from the generator that is passed.

    mean: per channel, in [0, 1]; its colour fills what comes from outside of the picture.
    """

    def __init__(self, config: AugmentConfig, mean: Sequence[float]) -> None:
        self.config = config
        self.mean = tuple(mean)
        red, green, blue = (round(255 * value) for value in mean)
        self.fill: Color = (red, green, blue)
        self._rand_augment = rand_augment(self.fill)
        self._random_augment = random_augment()

    def __reduce__(self) -> tuple[type[ImageAugmentation], tuple[AugmentConfig, tuple[float, ...]]]:
        # The policies hold functions, which cannot be sent to a process; they are built again.
        return ImageAugmentation, (self.config, self.mean)

    def on_image(self, image: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
        """RGB picture of any size -> augmented RGB picture (size, size)."""
        config = self.config
        box = None
        if config.crop_scale is not None:
            box = random_crop(image.size, config.crop_scale, config.crop_ratio, rng)
        image = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
        if config.flip > 0 and rng.random() < config.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if config.moves:
            matrix = random_affine(config, size, rng)
            image = affine(image, matrix, Canvas(self.fill, Image.Resampling.BICUBIC))
        if config.brightness > 0:
            factor = 1 + config.brightness * rng.uniform(-1, 1)
            image = image.point([min(255, round(v * factor)) for v in range(256)] * 3)
        if config.rand_augment:
            image = self._rand_augment(image, rng)
        if config.random_augment:
            image = self._random_augment(image, rng)
        return image

    def on_pixels(self, pixels: Tensor, scale: ImageScale, rng: np.random.Generator) -> Tensor:
        """(3, R, R) uint8 -> the same, or normalised with a rectangle of noise."""
        if self.config.erase > 0 and rng.random() < self.config.erase:
            return erase_rectangle(scale(pixels), rng)
        return pixels


def random_crop(size: tuple[int, int], scale: Range, ratio: Range, rng: np.random.Generator) -> Box:
    """Left, top, right, bottom of a random rectangle inside (width, height).

    Its share of the area is uniform in `scale`, the logarithm of its width / height in `ratio`.
    Where no try fits, the largest centred rectangle of an allowed ratio.
    """
    width, height = size
    for _ in range(_CROP_TRIES):
        w, h = _random_sides(width * height, scale, ratio, rng)
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, top, left + w, top + h
    found = min(max(width / height, ratio[0]), ratio[1])
    w = min(width, max(1, round(height * found)))
    h = min(height, max(1, round(width / found)))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def random_affine(
    config: AugmentConfig, size: int, rng: np.random.Generator
) -> tuple[float, float, float, float, float, float]:
    """Matrix (result pixel -> source pixel) of a random rotation, zoom and shift of a square."""
    angle = math.radians(rng.uniform(-config.degrees, config.degrees))
    zoom = rng.uniform(*config.zoom)
    limit = config.translate
    cosine, sine = math.cos(angle), math.sin(angle)
    if config.keep_inside:
        # Half the side of the smallest upright square around the turned picture is
        # zoom * extent / 2; what is left of the frame is room to shift.
        extent = cosine + abs(sine)
        zoom = min(zoom, 1 / extent)
        limit = min(limit, (1 - zoom * extent) / 2)
    shift_x, shift_y = size * rng.uniform(-limit, limit), size * rng.uniform(-limit, limit)
    a, b = cosine / zoom, sine / zoom
    centre = size / 2
    x, y = centre + shift_x, centre + shift_y
    return a, b, centre - a * x - b * y, -b, a, centre + b * x - a * y


def erase_rectangle(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """A copy of (C, H, W) with one random rectangle of standard normal noise."""
    channels, height, width = pixels.shape
    for _ in range(_ERASE_TRIES):
        w, h = _random_sides(height * width, _ERASE_AREA, _ERASE_RATIO, rng)
        if 0 < w < width and 0 < h < height:
            top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
            noise = rng.standard_normal((channels, h, w), dtype=np.float32)
            erased = pixels.clone()
            erased[:, top : top + h, left : left + w] = torch.from_numpy(noise)
            return erased
    return pixels


def _random_sides(
    area: int, share: Range, ratio: Range, rng: np.random.Generator
) -> tuple[int, int]:
    """Width and height of a rectangle of random area and shape, in pixels."""
    target = area * rng.uniform(*share)
    shape = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
    return round(math.sqrt(target * shape)), round(math.sqrt(target / shape))
