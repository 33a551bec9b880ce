"""Drawing primitives on a square of coordinates in [0, 1].

All masks are float32 (S, S) in [0, 1], S = side of the image in pixels.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.float32]
Rng: TypeAlias = np.random.Generator


class Canvas:
    """Pixel centres of a square image: `x` (1, S) from left to right, `y` (S, 1) downwards."""

    def __init__(self, side: int) -> None:
        if side < 16:
            raise ValueError(f"the side of a phantom must be at least 16 pixels, found {side}")
        centres: Field = ((np.arange(side) + 0.5) / side).astype(np.float32)
        self.side = side
        self.x = centres[None, :]
        self.y = centres[:, None]

    def step(self, inside: Field, softness: float) -> Field:
        """Mask of `inside > 0` whose edge is `softness` wide, never sharper than one pixel."""
        width = max(softness, 1.0 / self.side)
        mask: Field = np.clip(inside / np.float32(width) + np.float32(0.5), 0, 1)
        return mask

    def radius(self, cx: float, cy: float, rx: float, ry: float) -> Field:
        """(S, S) distance from the centre in units of the half axes."""
        dx = (self.x - np.float32(cx)) / np.float32(rx)
        dy = (self.y - np.float32(cy)) / np.float32(ry)
        distance: Field = np.sqrt(dx * dx + dy * dy)
        return distance

    def ellipse(
        self, centre: tuple[float, float], axes: tuple[float, float], soft: float = 0.0
    ) -> Field:
        """Filled ellipse; `centre` is (x, y), `axes` the two half axes."""
        return self.step((1 - self.radius(*centre, *axes)) * np.float32(min(axes)), soft)

    def blob(self, rng: Rng, centre: tuple[float, float], size: float, wobble: float) -> Field:
        """Signed depth below a wavy outline of mean radius `size`: positive inside, 0 on it."""
        dx, dy = self.x - np.float32(centre[0]), self.y - np.float32(centre[1])
        angle = np.arctan2(dy, dx)
        outline: Field = np.full_like(angle, size)
        for waves in (2, 3, 5):
            height = size * wobble * rng.uniform(0.3, 1.0) / waves
            outline += np.float32(height) * np.cos(waves * angle + np.float32(rng.uniform(0, 6.28)))
        outline -= np.sqrt(dx * dx + dy * dy)
        return outline

    def segment_distance(self, start: tuple[float, float], end: tuple[float, float]) -> Field:
        """(S, S) distance to a straight segment between two (x, y) points."""
        dx, dy = end[0] - start[0], end[1] - start[1]
        px, py = self.x - np.float32(start[0]), self.y - np.float32(start[1])
        along = (px * np.float32(dx) + py * np.float32(dy)) / np.float32(dx * dx + dy * dy + 1e-9)
        along = np.clip(along, 0, 1)
        distance: Field = np.hypot(px - along * np.float32(dx), py - along * np.float32(dy))
        return distance

    def path_distance(self, points: list[tuple[float, float]]) -> Field:
        """(S, S) distance to a chain of segments through `points`."""
        distances = [self.segment_distance(a, b) for a, b in zip(points, points[1:], strict=False)]
        nearest: Field = np.minimum.reduce(distances)
        return nearest

    def smooth_noise(self, rng: Rng, cells: int) -> Field:
        """(S, S) smooth random field with mean near 0 and values mostly within [-2, 2]."""
        weights = _interpolation(self.side, cells)
        grid = rng.standard_normal((cells + 1, cells + 1)).astype(np.float32)
        field: Field = np.linalg.multi_dot([weights, grid, weights.T])
        return field

    def grain(self, rng: Rng) -> Field:
        """(S, S) independent standard normal values."""
        return rng.standard_normal((self.side, self.side), dtype=np.float32)


@lru_cache(maxsize=64)
def _interpolation(side: int, cells: int) -> Field:
    """(side, cells + 1) weights of cosine interpolation between the corners of `cells` cells."""
    place = (np.arange(side) + 0.5) / side * cells
    cell = np.minimum(place.astype(int), cells - 1)
    blend = 0.5 - 0.5 * np.cos(np.pi * (place - cell))
    weights = np.zeros((side, cells + 1), dtype=np.float32)
    weights[np.arange(side), cell] = 1 - blend
    weights[np.arange(side), cell + 1] = blend
    return weights


def blend(image: Field, mask: Field, colour: tuple[float, ...], strength: float) -> Field:
    """Image (S, S, C) with `colour` (C,) laid over it where `mask` (S, S) is 1."""
    weight = (np.float32(strength) * mask)[:, :, None]
    return image + weight * (np.asarray(colour, dtype=np.float32) - image)
