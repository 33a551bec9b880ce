"""Originals above reconstructions."""

from __future__ import annotations

import numpy as np
import pytest

from biomedgpt_fairseq.image_tokenizer.pictures import (
    picture_to_pixels,
    pixels_to_picture,
    resized,
)
from biomedgpt_fairseq.image_tokenizer.preview import make_preview


def test_sheet_holds_original_and_reconstruction_of_each(tokenizer, make_picture):
    pictures = [make_picture(40, 30, 1), make_picture(32, 32, 2), make_picture(20, 60, 3)]
    made = make_preview(pictures, tokenizer, 32)
    assert made.sheet.size == (3 * 32 + 2 * 4, 2 * 32 + 4)
    for column, picture in enumerate(pictures):
        left = column * 36
        above = made.sheet.crop((left, 0, left + 32, 32))
        below = made.sheet.crop((left, 36, left + 32, 68))
        original = resized(picture, 32)
        pixels = picture_to_pixels(original)[None]
        decoded = tokenizer.decode(tokenizer.encode(pixels))
        assert np.array_equal(np.asarray(above), np.asarray(original))
        assert np.array_equal(np.asarray(below), np.asarray(pixels_to_picture(decoded[0])))
        error = float((decoded - pixels).abs().mean()) * 127.5
        assert made.errors[column] == pytest.approx(error)
