from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from biomedgpt_fairseq.data.image import HALF, IMAGENET_MEAN, IMAGENET_STD
from biomedgpt_fairseq.data.pixels import ImageScale, to_pixels


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pixels_are_those_of_the_picture(mode: str) -> None:
    values = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = Image.fromarray(values).convert(mode)
    expected = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    np.testing.assert_array_equal(to_pixels(image).numpy(), expected)


@pytest.mark.parametrize(
    ("mean", "std"), [(HALF, HALF), (IMAGENET_MEAN, IMAGENET_STD), ((0.0,) * 3, (1.0,) * 3)]
)
def test_scale_rounds_as_the_formula_does(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    pixels = torch.arange(256, dtype=torch.uint8).expand(2, 3, 3, 256)
    means, stds = (torch.tensor(values)[:, None, None] for values in (mean, std))
    expected = pixels.float().div(255).sub(means).div(stds)
    out = torch.empty(pixels.shape)
    assert torch.equal(ImageScale(mean, std)(pixels), expected)
    assert ImageScale(mean, std)(pixels, out) is out
    assert torch.equal(out, expected)
