"""Pictures to pixels and back, resize rules, the middle of a picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from biomedgpt_fairseq.image_tokenizer.pictures import (
    middle_box,
    picture_to_pixels,
    pixels_to_bytes,
    pixels_to_picture,
    resized,
)


def test_every_byte_comes_back_up_to_the_cut():
    ramp = np.arange(256, dtype=np.uint8)
    picture = Image.fromarray(np.stack([np.stack([ramp] * 3, -1)] * 2))
    pixels = picture_to_pixels(picture)
    assert pixels.shape == (3, 2, 256) and pixels.dtype == torch.float32
    assert pixels.min() == -1 and pixels.max() == 1
    back = np.asarray(pixels_to_picture(pixels)).astype(int)
    # Cut, not rounded: a value just below its byte becomes the one before.
    assert np.isin(np.asarray(picture) - back, (0, 1)).all()


def test_pixels_are_clamped_and_cut():
    values = torch.tensor([-3.0, -1.0, 0.0, 0.999, 1.0, 2.0])
    assert pixels_to_bytes(values).tolist() == [0, 0, 127, 254, 255, 255]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_other_modes_become_rgb(mode):
    assert picture_to_pixels(Image.new(mode, (9, 8))).shape == (3, 8, 9)


@pytest.mark.parametrize(
    ("size", "rule", "expected"),
    [
        ((200, 150), "both_sides", (128, 128)),
        ((200, 150), "shorter_side", (170, 128)),
        ((100, 140), "shorter_side", (128, 179)),
        ((128, 300), "shorter_side", (128, 300)),
    ],
)
def test_resize_rules(size, rule, expected):
    assert resized(Image.new("RGB", size), 128, rule).size == expected


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((256, 256), (64, 64, 192, 192)),
        ((257, 255), (64, 64, 193, 191)),
        ((101, 64), (25, 16, 76, 48)),
        ((3, 5), (1, 1, 2, 4)),
    ],
)
def test_middle_box_is_half_of_each_side(size, box):
    assert middle_box(*size) == box


def test_batch_is_no_picture():
    with pytest.raises(ValueError, match=r"expected pixels \(3, H, W\), found \(1, 3, 8, 8\)"):
        pixels_to_picture(torch.zeros(1, 3, 8, 8))
