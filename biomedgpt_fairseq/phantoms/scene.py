"""What is in an image, before any pixel is drawn; and the drawing of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from biomedgpt_fairseq.phantoms.canvas import Canvas, Field, Rng, blend
from biomedgpt_fairseq.phantoms.findings import (
    KINDS,
    NO_FINDING,
    SIDES,
    SIZES,
    ZONES,
    Finding,
    Size,
)
from biomedgpt_fairseq.phantoms.modalities import MODALITIES, Modality

Pixels: TypeAlias = NDArray[np.uint8]  # (S, S) grey or (S, S, 3) colour
Box: TypeAlias = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, x1 and y1 exclusive

_BODY_X = {"left": (0.26, 0.36), "right": (0.64, 0.74)}
_BODY_Y = {"upper": (0.26, 0.32), "middle": (0.46, 0.54), "lower": (0.68, 0.74)}
_MAX_TRIES = 5000


@dataclass(frozen=True)
class SceneOptions:
    """What may be in a scene: `counts[n]` is the share of scenes with n findings."""

    kinds: tuple[str, ...] = tuple(KINDS)
    counts: tuple[float, ...] = (0.2, 0.45, 0.35)
    modalities: tuple[Modality, ...] = field(default=MODALITIES)

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown:
            raise ValueError(f"unknown finding {unknown[0]!r}; known: {', '.join(KINDS)}")
        if len(self.kinds) < len(self.counts) - 1:
            raise ValueError(f"{len(self.counts) - 1} findings need as many kinds: {self.kinds}")


@dataclass(frozen=True)
class Scene:
    """One image in words: a modality and its findings, each of another kind in another place."""

    modality: Modality
    findings: tuple[Finding, ...]

    @property
    def label(self) -> str:
        """Kind of the first finding, or "no finding"."""
        return self.findings[0].kind if self.findings else NO_FINDING

    def find(self, kind: str) -> Finding | None:
        """The finding of that kind, if there is one."""
        return next((finding for finding in self.findings if finding.kind == kind), None)


def draw_scene(rng: Rng, options: SceneOptions) -> Scene:
    """A random scene."""
    modality = options.modalities[int(rng.integers(len(options.modalities)))]
    shares = np.cumsum(options.counts)
    count = int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))
    kinds = [options.kinds[int(k)] for k in rng.permutation(len(options.kinds))[:count]]
    return Scene(modality, place_findings(rng, kinds))


def place_findings(rng: Rng, kinds: Sequence[str]) -> tuple[Finding, ...]:
    """Findings of these kinds, at most six, in different places."""
    cells = rng.permutation(len(SIDES) * len(ZONES))[: len(kinds)]
    findings = []
    for kind, cell in zip(kinds, cells, strict=True):
        side, zone = SIDES[int(cell) % 2], ZONES[int(cell) // 2]
        centre = (rng.uniform(*_BODY_X[side]), rng.uniform(*_BODY_Y[zone]))
        size: Size = SIZES[int(rng.integers(2))]
        findings.append(Finding(kind, side, zone, size, centre))
    return tuple(findings)


def draw_scene_where(rng: Rng, options: SceneOptions, fits: Callable[[Scene], bool]) -> Scene:
    """A random scene that fits, by drawing again until one does."""
    for _ in range(_MAX_TRIES):
        scene = draw_scene(rng, options)
        if fits(scene):
            return scene
    raise ValueError(f"no scene fits the wish after {_MAX_TRIES} draws with {options}")


def render(scene: Scene, side: int, rng: Rng) -> tuple[Pixels, list[Box]]:
    """The image, grey or in colour as the modality is, and one box for each finding."""
    canvas, modality = Canvas(side), scene.modality
    image = modality.draw(canvas, rng)
    boxes = []
    for finding in scene.findings:
        kind = KINDS[finding.kind]
        extent = rng.uniform(*kind.radius[finding.size])
        layers = kind.draw(canvas, rng, finding, extent)
        for layer in layers:
            colour = modality.bright if layer.tone == "bright" else modality.dark
            image = blend(image, layer.mask, colour, layer.strength)
        boxes.append(_box(np.maximum.reduce([layer.mask for layer in layers])))
    levels = np.clip(modality.finish(canvas, rng, image), 0, 1) * np.float32(255)
    pixels = np.rint(levels).astype(np.uint8)
    return (pixels[:, :, 0] if pixels.shape[2] == 1 else pixels), boxes


def _box(mask: Field) -> Box:
    rows, columns = np.flatnonzero((mask > 0.25).any(1)), np.flatnonzero((mask > 0.25).any(0))
    if not len(rows):
        raise ValueError("a finding is smaller than one pixel; use larger images")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
