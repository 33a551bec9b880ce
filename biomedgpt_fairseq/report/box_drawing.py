"""Gold and found boxes over a picture, in units in which text and lines are legible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from biomedgpt_fairseq.metrics.detection import Located

LONG_SIDE = 320.0
"""Of the drawing, whatever the size of the picture: about the width of a card in pixels."""
MANY_BOXES = 12
_LETTER = 0.55  # width of an average letter, in font sizes


@dataclass(frozen=True)
class DrawnBox:
    """A rectangle and its text, in units of the drawing; kind: gold or found."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    text: str
    text_x: float
    text_y: float


@dataclass(frozen=True)
class Drawing:
    """A picture with boxes."""

    width: float
    height: float
    font: float
    boxes: Sequence[DrawnBox]


def draw_boxes(gold: Located, found: Located, size: tuple[int, int]) -> Drawing:
    """Both kinds of boxes of a picture of (width, height) pixels; found ones last, so on top."""
    unit = LONG_SIDE / max(size)
    width, height = size[0] * unit, size[1] * unit
    is_crowded = len(gold.names) + len(found.names) > MANY_BOXES
    font = 8.0 if is_crowded else 12.0
    texts = list(found.names)
    if not is_crowded:
        texts = [f"{n} {score:.2f}".strip() for n, score in zip(texts, found.scores, strict=True)]
    boxes = [
        *_draw("gold", gold, list(gold.names), unit, (width, height), font),
        *_draw("found", found, texts, unit, (width, height), font),
    ]
    return Drawing(width, height, font, boxes)


def _draw(
    kind: str,
    located: Located,
    texts: Sequence[str],
    unit: float,
    area: tuple[float, float],
    font: float,
) -> Iterator[DrawnBox]:
    for (x0, y0, x1, y1), text in zip((located.corners * unit).tolist(), texts, strict=True):
        # Gold names stand above their box, found ones below, both inside the picture.
        text_y = y0 - 0.3 * font if kind == "gold" else y1 + font
        text_x = max(0.0, min(x0, area[0] - _LETTER * font * len(text)))
        text_y = max(font, min(text_y, area[1] - 0.3 * font))
        yield DrawnBox(kind, x0, y0, x1 - x0, y1 - y0, text, text_x, text_y)
