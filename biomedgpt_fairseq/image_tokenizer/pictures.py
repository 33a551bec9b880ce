"""Pictures <-> the tokenizer's pixels in [-1, 1], by the rules its training used."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from PIL import Image
from torch import Tensor

from biomedgpt_fairseq.data.pixels import to_pixels

ResizeRule = Literal["both_sides", "shorter_side"]
RESIZE_RULES: tuple[ResizeRule, ...] = get_args(ResizeRule)


def resized(picture: Image.Image, size: int, rule: ResizeRule = "both_sides") -> Image.Image:
    """The picture in RGB (transparency dropped), resized by Lanczos interpolation.

    both_sides: to size x size, whatever its shape; shorter_side: that side to `size`, shape kept.
    """
    picture = picture.convert("RGB")
    width, height = picture.size
    if rule == "both_sides":
        wanted = (size, size)
    elif width <= height:
        wanted = (size, int(size * height / width))
    else:
        wanted = (int(size * width / height), size)
    if picture.size == wanted:
        return picture
    return picture.resize(wanted, Image.Resampling.LANCZOS)


def picture_to_pixels(picture: Image.Image) -> Tensor:
    """Picture of any mode -> (3, H, W) float32 in [-1, 1]."""
    return bytes_to_pixels(to_pixels(picture.convert("RGB")))


def bytes_to_pixels(values: Tensor) -> Tensor:
    """uint8 of any shape -> float32 in [-1, 1]."""
    # Two steps with a rounding each, as in the original: pixels are equal to the bit.
    return values.float().div_(255).mul_(2).sub_(1)


def pixels_to_bytes(pixels: Tensor) -> Tensor:
    """Pixels (..., 3, H, W) -> uint8: clamped to [-1, 1], scaled to [0, 255], cut, not rounded."""
    values = pixels.clamp(-1, 1).add(1).div(2).mul(255)
    return values.to(torch.uint8)


def pixels_to_picture(pixels: Tensor) -> Image.Image:
    """Pixels (3, H, W) in [-1, 1] -> RGB picture, by `pixels_to_bytes`."""
    if pixels.dim() != 3 or pixels.size(0) != 3:
        raise ValueError(f"expected pixels (3, H, W), found {tuple(pixels.shape)}")
    return Image.fromarray(pixels_to_bytes(pixels).movedim(0, -1).cpu().contiguous().numpy())


def middle_box(width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the middle half of the sides, halves rounded to even."""
    left, top = width / 4, height / 4
    return round(left), round(top), round(width - left), round(height - top)
