"""Bytes of pictures and their normalised values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def to_pixels(image: Image.Image) -> Tensor:
    """Picture in RGB or 8-bit grey -> (3, H, W) uint8; grey is a view of (H, W)."""
    if image.mode != "RGB":
        return torch.from_numpy(np.array(image)).expand(3, -1, -1)
    pixels = torch.empty((3, image.height, image.width), dtype=torch.uint8)
    # Band by band: faster than to reorder (H, W, 3), where channels are three bytes apart.
    for target, band in zip(pixels.numpy(), image.split(), strict=True):
        target[...] = np.asarray(band)
    return pixels


def blank(side: int) -> Tensor:
    """The picture (3, side, side) of an example that has none: normalised zeros, a single number
    in memory."""
    return torch.zeros(1).expand(3, side, side)


def is_blank(pixels: Tensor) -> bool:
    """Whether this is a picture of `blank`."""
    return pixels.stride() == (0, 0, 0) and float(pixels[0, 0, 0]) == 0


@dataclass(frozen=True)
class ImageScale:
    """Bytes -> normalised values, (x / 255 - mean) / std per channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, pixels: Tensor, out: Tensor | None = None) -> Tensor:
        """(3, H, W) or (B, 3, H, W) uint8 -> float32, in `out` if given; float32 is returned as it
        is.
        """
        if pixels.dtype == torch.float32:
            return pixels
        values = torch.empty(pixels.shape, device=pixels.device) if out is None else out
        pictures = pixels.view(-1, *pixels.shape[-3:])
        self.spread(pictures, range(len(pictures)), values.view(-1, *values.shape[-3:]))
        return values

    def spread(self, pictures: Tensor, places: Sequence[int], out: Tensor) -> None:
        """Fill out (B, 3, H, W) float32 with pictures[place] for each place, zeros where it is
        negative.  pictures: (U, 3, H, W) uint8, each of which is normalised once."""
        offset, divisor, std = self._steps(pictures.size(-1), pictures.device)
        first: dict[int, Tensor] = {}
        # Picture by picture: one fits in the cache for all steps.
        for target, place in zip(out, places, strict=True):
            if place < 0:
                target.zero_()
            elif place in first:
                target.copy_(first[place])
            else:
                first[place] = target
                torch.addcdiv(offset, target.copy_(pictures[place]), divisor, out=target)
                if std is not None:
                    target.div_(std)

    def _steps(self, width: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
        """offset (3, 1, W), divisor and std (3, 1, 1) of (offset + x / divisor) / std.

        std is None when it is a power of two in each channel: then it goes into the others without
        any change of rounding.
        """
        mean, std = (
            torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]
            for values in (self.mean, self.std)
        )
        if all(math.frexp(value)[0] == 0.5 for value in self.std):
            return (-mean / std).expand(-1, -1, width).contiguous(), 255 * std, None
        return (-mean).expand(-1, -1, width).contiguous(), torch.full_like(std, 255), std
