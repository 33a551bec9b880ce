"""Originals above what is left of them after coding and decoding, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from biomedgpt_fairseq.image_tokenizer.pictures import (
    picture_to_pixels,
    pixels_to_picture,
    resized,
)
from biomedgpt_fairseq.image_tokenizer.tokenizer import ImageTokenizer

_GAP = 4
_BACKGROUND = (255, 255, 255)


@dataclass(frozen=True)
class Preview:
    """The sheet and, for each picture, the mean absolute error in grey levels of 255."""

    sheet: Image.Image
    errors: list[float]


def make_preview(pictures: Sequence[Image.Image], tokenizer: ImageTokenizer, size: int) -> Preview:
    """A column per picture: the original, resized to a square of `size`, and its reconstruction."""
    step = size + _GAP
    sheet = Image.new("RGB", (step * len(pictures) - _GAP, 2 * step - _GAP), _BACKGROUND)
    errors = []
    for column, picture in enumerate(pictures):
        original = resized(picture, size)
        pixels = picture_to_pixels(original)[None]
        decoded = tokenizer.decode(tokenizer.encode(pixels)).cpu()
        errors.append(float(torch.mean((decoded - pixels).abs())) * 255 / 2)
        sheet.paste(original, (column * step, 0))
        sheet.paste(pixels_to_picture(decoded[0]), (column * step, step))
    return Preview(sheet, errors)
