"""Operations on RGB pictures that random augmentation draws from.

An operation is called as `operation(image, magnitude, canvas, rng)` with a magnitude from 0 to 10;
those with a direction draw its sign.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Canvas:
    """How pixels are interpolated, and the colour of those that come from outside."""

    fill: Color
    resample: Image.Resampling


Operation = Callable[[Image.Image, float, Canvas, np.random.Generator], Image.Image]


@dataclass(frozen=True)
class Policy:
    """`count` operations drawn with replacement, each applied with a probability.

    magnitude: 0 to 10, normally distributed with this deviation.
    """

    operations: tuple[Operation, ...]
    count: int
    magnitude: float
    deviation: float
    canvas: Canvas
    probability: float = 0.5

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        for choice in rng.integers(len(self.operations), size=self.count):
            if rng.random() < self.probability:
                magnitude = float(np.clip(rng.normal(self.magnitude, self.deviation), 0, 10))
                image = self.operations[choice](image, magnitude, self.canvas, rng)
        return image


def rand_augment(fill: Color) -> Policy:
    """RandAugment `rand-m9-mstd0.5-inc1`: two of fifteen operations, stronger with magnitude."""
    return Policy(_INCREASING, 2, 9.0, 0.5, Canvas(fill, Image.Resampling.BICUBIC))


def random_augment() -> Policy:
    """The second policy of the released recipes: two of ten operations at fixed strength 7."""
    return Policy(_FIXED, 2, 7.0, 0.0, Canvas((128, 128, 128), Image.Resampling.BILINEAR))


def affine(
    image: Image.Image, matrix: tuple[float, float, float, float, float, float], canvas: Canvas
) -> Image.Image:
    """Pixel (x, y) of the result is pixel (ax + by + c, dx + ey + f) of the image."""
    return image.transform(
        image.size,
        Image.Transform.AFFINE,
        matrix,
        resample=canvas.resample,
        fillcolor=canvas.fill,
    )


def _sign(rng: np.random.Generator) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def _pointwise(change: Callable[[Image.Image], Image.Image]) -> Operation:
    """Operation without strength."""
    return lambda image, magnitude, canvas, rng: change(image)


def _posterize(
    image: Image.Image, magnitude: float, canvas: Canvas, rng: np.random.Generator
) -> Image.Image:
    # At least one bit: none would leave a black picture.
    return ImageOps.posterize(image, max(1, 4 - int(4 * magnitude / 10)))


def _solarize(
    image: Image.Image, magnitude: float, canvas: Canvas, rng: np.random.Generator
) -> Image.Image:
    return ImageOps.solarize(image, 256 - int(256 * magnitude / 10))


def _solarize_add(
    image: Image.Image, magnitude: float, canvas: Canvas, rng: np.random.Generator
) -> Image.Image:
    added = int(110 * magnitude / 10)
    table = [min(255, v + added) if v < 128 else v for v in range(256)]
    return image.point(table * 3)


_Enhancer = Callable[[Image.Image], ImageEnhance._Enhance]


def _enhance(enhancer: _Enhancer) -> Operation:
    """Factor 1 +- 0.9 at full magnitude, so that both directions grow with it."""

    def operation(
        image: Image.Image, magnitude: float, canvas: Canvas, rng: np.random.Generator
    ) -> Image.Image:
        return enhancer(image).enhance(max(0.1, 1 + _sign(rng) * 0.9 * magnitude / 10))

    return operation


def _strengthen(enhancer: _Enhancer) -> Operation:
    """Factor 0.1 to 1.9, one direction."""
    return lambda image, magnitude, canvas, rng: enhancer(image).enhance(1.8 * magnitude / 10 + 0.1)


def _rotate(
    image: Image.Image, magnitude: float, canvas: Canvas, rng: np.random.Generator
) -> Image.Image:
    degrees = _sign(rng) * 30 * magnitude / 10
    return image.rotate(degrees, resample=canvas.resample, fillcolor=canvas.fill)


def _shear(horizontal: bool) -> Operation:
    def operation(
        image: Image.Image, magnitude: float, canvas: Canvas, rng: np.random.Generator
    ) -> Image.Image:
        shear = _sign(rng) * 0.3 * magnitude / 10
        return affine(image, (1, shear * horizontal, 0, shear * (not horizontal), 1, 0), canvas)

    return operation


def _translate(horizontal: bool, pixels: Callable[[int, float], float]) -> Operation:
    """pixels: (side, magnitude) -> shift."""

    def operation(
        image: Image.Image, magnitude: float, canvas: Canvas, rng: np.random.Generator
    ) -> Image.Image:
        side = image.width if horizontal else image.height
        shift = _sign(rng) * pixels(side, magnitude)
        return affine(image, (1, 0, shift * horizontal, 0, 1, shift * (not horizontal)), canvas)

    return operation


def _share_of_side(side: int, magnitude: float) -> float:
    return 0.45 * side * magnitude / 10


def _whole_pixels(side: int, magnitude: float) -> float:
    return magnitude


_INCREASING: tuple[Operation, ...] = (
    _pointwise(ImageOps.autocontrast),
    _pointwise(ImageOps.equalize),
    _pointwise(ImageOps.invert),
    _rotate,
    _posterize,
    _solarize,
    _solarize_add,
    _enhance(ImageEnhance.Color),
    _enhance(ImageEnhance.Contrast),
    _enhance(ImageEnhance.Brightness),
    _enhance(ImageEnhance.Sharpness),
    _shear(True),
    _shear(False),
    _translate(True, _share_of_side),
    _translate(False, _share_of_side),
)

_FIXED: tuple[Operation, ...] = (
    _pointwise(lambda image: image),
    _pointwise(ImageOps.autocontrast),
    _pointwise(ImageOps.equalize),
    _strengthen(ImageEnhance.Brightness),
    _strengthen(ImageEnhance.Sharpness),
    _shear(True),
    _shear(False),
    _translate(True, _whole_pixels),
    _translate(False, _whole_pixels),
    _rotate,
)
