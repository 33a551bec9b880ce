"""Which rows the report shows, and their pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from biomedgpt_fairseq.report.model import Row

MAX_SIDE = 224


def select_examples(rows: Sequence[Row], limit: int) -> tuple[list[int], list[int]]:
    """Indices of the worst and the best rows, at most `limit` each, no row in both.

    Worst first: least credit and, among equals, most confident (the errors worth reading).
    Best first: most credit and, among equals, most confident. Ties keep the order of the rows.
    """
    by_confidence = sorted(range(len(rows)), key=lambda i: -_certainty(rows[i]))
    middle = len(rows) / 2
    worst = sorted(by_confidence, key=lambda i: rows[i].value)[: min(limit, int(middle + 0.5))]
    best = sorted(by_confidence, key=lambda i: -rows[i].value)
    worst = [i for i in worst if rows[i].value < 1.0]
    return worst, [i for i in best if rows[i].value > 0.0 and i not in set(worst)][:limit]


def picture_uri(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> str:
    """PNG data URI of a normalised picture (3, R, R), at most MAX_SIDE pixels wide."""
    shift = torch.tensor(mean, device=image.device).view(3, 1, 1)
    scale = torch.tensor(std, device=image.device).view(3, 1, 1)
    pixels = ((image.float() * scale + shift).clamp(0, 1) * 255).round().to(torch.uint8)
    return png_uri(Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy()))  # (R, R, 3)


def png_uri(picture: Image.Image) -> str:
    """PNG data URI of a picture, at most MAX_SIDE pixels wide and high."""
    picture = picture.copy()
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _certainty(row: Row) -> float:
    return row.score if row.confidence is None else row.confidence
