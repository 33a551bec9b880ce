"""The kinds of image: anatomy-like background before the findings, imaging noise after them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from biomedgpt_fairseq.phantoms.canvas import Canvas, Field, Rng, blend


@dataclass(frozen=True)
class Modality:
    """One kind of image. Images are float32 (S, S, C) in [0, 1] with C = len(bright)."""

    name: str  # as the answer to "which modality is this"
    phrase: str  # as in a caption
    organ: str
    bright: tuple[float, ...]  # colour of bright findings
    dark: tuple[float, ...]  # colour of dark findings
    draw: Callable[[Canvas, Rng], Field]
    finish: Callable[[Canvas, Rng, Field], Field]


def _grey(field: Field) -> Field:
    return field[:, :, None]


def _centre(rng: Rng) -> tuple[float, float]:
    """Middle of the body: patients do not lie in the same place twice."""
    return 0.5 + rng.uniform(-0.03, 0.03), 0.5 + rng.uniform(-0.03, 0.03)


def _draw_radiograph(canvas: Canvas, rng: Rng) -> Field:
    cx, cy = _centre(rng)
    scale = rng.uniform(0.94, 1.06)
    body = canvas.ellipse((cx, cy + 0.1), (0.5 * scale, 0.68 * scale), 0.05)
    image = 0.06 + 0.5 * body
    for side in (-1, 1):
        lung = canvas.ellipse((cx + side * 0.21 * scale, cy), (0.17 * scale, 0.36 * scale), 0.04)
        image -= 0.27 * lung
    spacing = rng.uniform(7.5, 9.5)
    arch = (canvas.y + 0.7 * (canvas.x - np.float32(cx)) ** 2) * np.float32(spacing * 2 * np.pi)
    ribs = np.clip(np.sin(arch + np.float32(rng.uniform(0, 6.28))) - 0.35, 0, 1)
    image += 0.16 * ribs * body
    spine = canvas.step(np.float32(0.045) - np.abs(canvas.x - np.float32(cx)), 0.03)
    image += 0.2 * spine * body
    image += 0.2 * canvas.ellipse((cx + 0.06, cy + 0.16), (0.13 * scale, 0.14 * scale), 0.05)
    return _grey(image)


def _finish_radiograph(canvas: Canvas, rng: Rng, image: Field) -> Field:
    exposure = 1 + 0.15 * (canvas.y - 0.5) * np.float32(rng.uniform(-1, 1))
    field = image[:, :, 0] * exposure + 0.03 * canvas.smooth_noise(rng, 6)
    return _grey(field + 0.03 * np.sqrt(np.clip(field, 0.05, 1)) * canvas.grain(rng))


def _draw_ct(canvas: Canvas, rng: Rng) -> Field:
    cx, cy = _centre(rng)
    rx, ry = rng.uniform(0.45, 0.48), rng.uniform(0.4, 0.45)
    body = canvas.ellipse((cx, cy), (rx, ry), 0.01)
    wall = body - canvas.ellipse((cx, cy), (rx - 0.05, ry - 0.05), 0.01)
    image = 0.02 + 0.4 * body + 0.16 * wall
    places = ((-0.22, -0.02, 0.17, 0.2), (0.24, -0.06, 0.11, 0.13), (0.03, -0.14, 0.1, 0.08))
    for dx, dy, ax, ay in places:
        grow = rng.uniform(0.85, 1.15)
        organ = canvas.ellipse((cx + dx, cy + dy), (ax * grow, ay * grow), 0.02)
        image += np.float32(rng.uniform(0.04, 0.14)) * organ * body
    for side in (-1, 1):
        kidney = canvas.ellipse((cx + side * 0.2, cy + 0.2), (0.07, 0.09), 0.02)
        image += 0.1 * kidney * body
    image += 0.34 * canvas.ellipse((cx, cy + 0.27), (0.075, 0.065), 0.02)
    return _grey(image)


def _finish_ct(canvas: Canvas, rng: Rng, image: Field) -> Field:
    rings = np.sin(canvas.radius(0.5, 0.5, 1.0, 1.0) * np.float32(rng.uniform(90, 140)))
    return _grey(image[:, :, 0] + 0.012 * rings + 0.045 * canvas.grain(rng))


def _draw_mri(canvas: Canvas, rng: Rng) -> Field:
    cx, cy = _centre(rng)
    rx, ry = rng.uniform(0.4, 0.44), rng.uniform(0.44, 0.48)
    head = canvas.ellipse((cx, cy), (rx, ry), 0.01)
    gap = canvas.ellipse((cx, cy), (rx - 0.03, ry - 0.03), 0.01)
    brain = canvas.ellipse((cx, cy), (rx - 0.055, ry - 0.055), 0.01)
    folds = np.sin(3.2 * canvas.smooth_noise(rng, 9))
    image = 0.03 + 0.75 * (head - gap) + brain * (0.45 + 0.07 * folds)
    tilt = rng.uniform(0.045, 0.06)
    for side in (-1, 1):
        ventricle = canvas.ellipse((cx + side * tilt, cy - 0.01), (0.028, 0.12), 0.02)
        image -= 0.3 * ventricle * brain
    fissure = canvas.step(np.float32(0.006) - np.abs(canvas.x - np.float32(cx)), 0.01)
    return _grey(image - 0.18 * fissure * brain)


def _finish_mri(canvas: Canvas, rng: Rng, image: Field) -> Field:
    bias = 1 + 0.16 * canvas.smooth_noise(rng, 2)
    signal = image[:, :, 0] * np.clip(bias, 0.55, 1.4)
    # The magnitude of a complex signal with noise in both parts: never negative, never quite black.
    return _grey(np.hypot(signal + 0.035 * canvas.grain(rng), 0.035 * canvas.grain(rng)))


def _fan(canvas: Canvas) -> tuple[Field, Field]:
    """Mask of the scanned sector and the depth (S, S) below the probe, in [0, about 1]."""
    distance = canvas.radius(0.5, -0.42, 1.0, 1.0)
    slope = np.abs(canvas.x - np.float32(0.5)) / (canvas.y + np.float32(0.42))
    sector = canvas.step(np.float32(0.74) - slope, 0.01)
    sector = sector * canvas.step(distance - np.float32(0.47), 0.01)
    return sector * canvas.step(np.float32(1.4) - distance, 0.01), distance - np.float32(0.47)


def _draw_ultrasound(canvas: Canvas, rng: Rng) -> Field:
    sector, depth = _fan(canvas)
    image = 0.42 + 0.08 * canvas.smooth_noise(rng, 5)
    border = 0.12 + 0.05 * rng.uniform(-1, 1) + 0.1 * (canvas.x - 0.5) * rng.uniform(-1, 1)
    layer = np.abs(depth - np.float32(border))
    image += 0.3 * canvas.step(np.float32(0.012) - layer, 0.02)
    for _ in range(int(rng.integers(2, 5))):
        place = (rng.uniform(0.25, 0.75), rng.uniform(0.3, 0.85))
        image -= 0.16 * canvas.ellipse(place, (rng.uniform(0.03, 0.07), 0.018), 0.02)
    return _grey(image * sector)


def _finish_ultrasound(canvas: Canvas, rng: Rng, image: Field) -> Field:
    sector, depth = _fan(canvas)
    speckle = np.hypot(canvas.grain(rng), canvas.grain(rng)) * np.float32(0.8)
    gain = 1.1 - 0.35 * depth
    return _grey(image[:, :, 0] * gain * (0.62 + 0.38 * speckle) * sector)


def _draw_microscopy(canvas: Canvas, rng: Rng) -> Field:
    stroma = 0.5 + 0.18 * canvas.smooth_noise(rng, 7) + 0.1 * np.sin(canvas.y * 30 + canvas.x * 9)
    image = np.ones((canvas.side, canvas.side, 3), dtype=np.float32) * np.float32(0.93)
    image = blend(image, np.clip(stroma, 0, 1), (0.88, 0.5, 0.68), 0.9)
    nuclei = np.zeros((canvas.side, canvas.side), dtype=np.float32)
    for _ in range(int(rng.integers(18, 30))):
        place = (rng.uniform(0, 1), rng.uniform(0, 1))
        size = rng.uniform(0.012, 0.02)
        np.maximum(nuclei, canvas.ellipse(place, (size, size * 1.3), 0.01), out=nuclei)
    return blend(image, nuclei, (0.5, 0.3, 0.62), 0.7)


def _finish_microscopy(canvas: Canvas, rng: Rng, image: Field) -> Field:
    stain = rng.uniform(-0.05, 0.05, size=3).astype(np.float32)
    light = 1 + 0.06 * canvas.smooth_noise(rng, 1)
    lit: Field = (image + stain) * light[:, :, None]
    return lit + 0.025 * canvas.grain(rng)[:, :, None]


def _draw_fundus(canvas: Canvas, rng: Rng) -> Field:
    disc_side = 1 if rng.random() < 0.5 else -1
    image: Field = np.empty((canvas.side, canvas.side, 3), dtype=np.float32)
    image[:] = (0.72, 0.36, 0.16)
    image *= (1 + 0.07 * canvas.smooth_noise(rng, 4))[:, :, None]
    disc = (0.5 + disc_side * rng.uniform(0.0, 0.04), 0.5 + rng.uniform(-0.03, 0.03))
    vessels = np.zeros((canvas.side, canvas.side), dtype=np.float32)
    for _ in range(6):
        heading, points = rng.uniform(0, 6.28), [disc]
        for _ in range(4):
            heading += rng.uniform(-0.4, 0.4)
            last = points[-1]
            points.append((last[0] + 0.12 * np.cos(heading), last[1] + 0.12 * np.sin(heading)))
        line = canvas.step(np.float32(0.005) - canvas.path_distance(points), 0.008)
        np.maximum(vessels, line, out=vessels)
    image = blend(image, vessels, (0.5, 0.12, 0.08), 0.6)
    return blend(image, canvas.ellipse(disc, (0.06, 0.065), 0.02), (0.95, 0.78, 0.5), 0.8)


def _finish_fundus(canvas: Canvas, rng: Rng, image: Field) -> Field:
    distance = canvas.radius(0.5, 0.5, 0.49, 0.49)
    aperture = canvas.step((1 - distance) * np.float32(0.49), 0.01) * (1.05 - 0.25 * distance**2)
    return (image + 0.022 * canvas.grain(rng)[:, :, None]) * aperture[:, :, None]


_WHITE, _BLACK = (0.97,), (0.03,)

MODALITIES: tuple[Modality, ...] = (
    Modality(
        name="radiograph",
        phrase="radiograph of the chest",
        organ="chest",
        bright=_WHITE,
        dark=_BLACK,
        draw=_draw_radiograph,
        finish=_finish_radiograph,
    ),
    Modality(
        name="ct",
        phrase="ct slice of the abdomen",
        organ="abdomen",
        bright=_WHITE,
        dark=_BLACK,
        draw=_draw_ct,
        finish=_finish_ct,
    ),
    Modality(
        name="mri",
        phrase="mri slice of the brain",
        organ="brain",
        bright=_WHITE,
        dark=_BLACK,
        draw=_draw_mri,
        finish=_finish_mri,
    ),
    Modality(
        name="ultrasound",
        phrase="ultrasound image of the liver",
        organ="liver",
        bright=_WHITE,
        dark=_BLACK,
        draw=_draw_ultrasound,
        finish=_finish_ultrasound,
    ),
    Modality(
        name="microscopy",
        phrase="microscopy image of stained tissue",
        organ="tissue",
        bright=(0.3, 0.1, 0.45),
        dark=(1.0, 1.0, 1.0),
        draw=_draw_microscopy,
        finish=_finish_microscopy,
    ),
    Modality(
        name="fundus photograph",
        phrase="fundus photograph of the retina",
        organ="retina",
        bright=(1.0, 0.95, 0.6),
        dark=(0.22, 0.02, 0.02),
        draw=_draw_fundus,
        finish=_finish_fundus,
    ),
)
