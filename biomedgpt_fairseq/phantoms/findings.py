"""The kinds of finding: how each looks, and the order of their category numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from biomedgpt_fairseq.phantoms.canvas import Canvas, Field, Rng

Side = Literal["left", "right"]
Zone = Literal["upper", "middle", "lower"]
Size = Literal["small", "large"]
SIDES: tuple[Side, ...] = ("left", "right")
ZONES: tuple[Zone, ...] = ("upper", "middle", "lower")
SIZES: tuple[Size, ...] = ("small", "large")


def with_article(words: str) -> str:
    """The words after "a" or "an", as they are spoken ("mri" begins with a vowel)."""
    spoken_with_vowel = words.startswith("mri") or words[0] in "aeiou"
    return f"{'an' if spoken_with_vowel else 'a'} {words}"


@dataclass(frozen=True)
class Finding:
    """One finding; sides are those of the image as looked at, coordinates are in [0, 1]."""

    kind: str
    side: Side
    zone: Zone
    size: Size
    centre: tuple[float, float]  # (x, y)

    @property
    def place(self) -> str:
        """Such as "left upper zone"."""
        return f"{self.side} {self.zone} zone"


@dataclass(frozen=True)
class Layer:
    """A mask (S, S) that is painted with the bright or the dark colour of the modality."""

    mask: Field
    tone: Literal["bright", "dark"]
    strength: float


@dataclass(frozen=True)
class Kind:
    """One kind of finding."""

    name: str
    radius: dict[Size, tuple[float, float]]  # range of the extent, as a share of the image's side
    draw: Callable[[Canvas, Rng, Finding, float], list[Layer]]

    @property
    def noun(self) -> str:
        """The name with its article."""
        return with_article(self.name)


def _mass(canvas: Canvas, rng: Rng, finding: Finding, radius: float) -> list[Layer]:
    depth = canvas.blob(rng, finding.centre, radius, wobble=0.4)
    return [Layer(canvas.step(depth, radius * 0.35), "bright", rng.uniform(0.6, 0.8))]


def _nodule(canvas: Canvas, rng: Rng, finding: Finding, radius: float) -> list[Layer]:
    disc = canvas.ellipse(finding.centre, (radius, radius))
    return [Layer(disc, "bright", rng.uniform(0.8, 0.95))]


def _effusion(canvas: Canvas, rng: Rng, finding: Finding, radius: float) -> list[Layer]:
    """Fluid with a level: the lower half of an ellipse."""
    cx, cy = finding.centre
    pool = canvas.ellipse((cx, cy - radius * 0.4), (radius * 1.15, radius * 1.4), 0.02)
    level = canvas.step(canvas.y - np.float32(cy - radius * 0.4), 0.0)
    return [Layer(pool * level, "bright", rng.uniform(0.65, 0.85))]


def _fracture(canvas: Canvas, rng: Rng, finding: Finding, radius: float) -> list[Layer]:
    """A jagged dark line with a bright lip, so that it shows on any background."""
    angle = rng.uniform(0, np.pi)
    along, across = (np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))
    points = []
    for k, t in enumerate(np.linspace(-1, 1, 6)):
        jag = (1 if k % 2 else -1) * rng.uniform(0.08, 0.2) * radius
        points.append(
            (
                finding.centre[0] + radius * t * along[0] + jag * across[0],
                finding.centre[1] + radius * t * along[1] + jag * across[1],
            )
        )
    distance = canvas.path_distance(points)
    lip = canvas.step(np.float32(0.024) - distance, 0.01)
    gap = canvas.step(np.float32(0.009) - distance, 0.008)
    return [Layer(lip, "bright", 0.6), Layer(gap, "dark", 0.9)]


def _calcification(canvas: Canvas, rng: Rng, finding: Finding, radius: float) -> list[Layer]:
    """A cluster of bright grains."""
    grains = np.zeros((canvas.side, canvas.side), dtype=np.float32)
    count = int(rng.integers(6, 9) if finding.size == "small" else rng.integers(11, 15))
    for k in range(count):
        angle, reach = k * 2.4 + rng.uniform(-0.4, 0.4), radius * np.sqrt((k + 0.5) / count)
        place = (
            finding.centre[0] + reach * np.cos(angle),
            finding.centre[1] + reach * np.sin(angle),
        )
        size = rng.uniform(0.011, 0.016)
        np.maximum(grains, canvas.ellipse(place, (size, size)), out=grains)
    return [Layer(grains, "bright", 1.0)]


def _haemorrhage(canvas: Canvas, rng: Rng, finding: Finding, radius: float) -> list[Layer]:
    """An irregular dark pool with a thin bright rim."""
    depth = canvas.blob(rng, finding.centre, radius, wobble=0.7)
    rim = canvas.step(np.float32(0.012) - np.abs(depth), 0.012)
    return [
        Layer(canvas.step(depth, 0.02), "dark", rng.uniform(0.75, 0.9)),
        Layer(rim, "bright", 0.65),
    ]


def _kind(
    name: str,
    small: tuple[float, float],
    large: tuple[float, float],
    draw: Callable[[Canvas, Rng, Finding, float], list[Layer]],
) -> Kind:
    return Kind(name, {"small": small, "large": large}, draw)


_ROWS = (
    _kind("mass", (0.085, 0.1), (0.145, 0.165), _mass),
    _kind("nodule", (0.03, 0.036), (0.052, 0.06), _nodule),
    _kind("effusion", (0.09, 0.105), (0.145, 0.165), _effusion),
    _kind("fracture", (0.1, 0.115), (0.16, 0.185), _fracture),
    _kind("calcification", (0.055, 0.065), (0.105, 0.125), _calcification),
    _kind("haemorrhage", (0.075, 0.09), (0.13, 0.15), _haemorrhage),
)

KINDS: dict[str, Kind] = {row.name: row for row in _ROWS}
CATEGORY: dict[str, int] = {row.name: number for number, row in enumerate(_ROWS, start=1)}
NO_FINDING = "no finding"
