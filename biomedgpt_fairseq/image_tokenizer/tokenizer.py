"""The image tokenizer as others use it: a file -> pictures to codes and back."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from biomedgpt_fairseq.image_tokenizer.config import TokenizerConfig
from biomedgpt_fairseq.image_tokenizer.network import COLOURS, VqNetwork
from biomedgpt_fairseq.image_tokenizer.weights import read_network

EMBEDDED = "embedded"
"""Name, in place of a path, of the small tokenizer that comes with the package."""

EMBEDDED_FILE = Path(__file__).with_name("phantoms.safetensors")
"""What `biomedgpt image-codes train` gives without options; docs/image_tokenizer.md."""


class ImageTokenizer:
    """Pictures to grids of codes and back; the same picture always gives the same codes."""

    def __init__(self, network: VqNetwork) -> None:
        self.network = network.eval()

    @property
    def config(self) -> TokenizerConfig:
        """Sizes of the network."""
        return self.network.config

    @property
    def num_codes(self) -> int:
        """Size of the codebook; codes are from 0 to num_codes - 1."""
        return self.config.num_codes

    @property
    def factor(self) -> int:
        """Pixels per code along each side."""
        return self.config.factor

    @property
    def device(self) -> torch.device:
        """Where the weights are; inputs are moved there, results stay there."""
        return self.network.quant_conv.weight.device

    def to(self, device: torch.device | str) -> ImageTokenizer:
        """Move the weights; returns this object."""
        self.network.to(device)
        return self

    @torch.inference_mode()
    def encode(self, pixels: Tensor, partial: bool = False) -> Tensor:
        """Codes (B, H // factor, W // factor) int64 of pixels (B, 3, H, W) in [-1, 1], row by row.

        partial: take sides that are no multiples of `factor`; each halving then drops an odd row or
        column, and decoding gives a smaller picture.  Raises ValueError for other shapes and types.
        """
        self._check_pixels(pixels, partial)
        # Shortened factors (TF32), a GPU's default, would choose other codes than a CPU.
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            return self.network.codes(self.network.latents(self._moved(pixels)))

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Pixels (B, 3, h * factor, w * factor) in [-1, 1] of codes (B, h, w).

        Raises ValueError for another shape and for codes outside of the codebook.
        """
        if codes.dim() != 3 or 0 in codes.shape:
            raise ValueError(f"expected a grid of codes (B, h, w), found {tuple(codes.shape)}")
        if codes.is_floating_point() or codes.dtype == torch.bool:
            raise ValueError(f"expected codes as integers, found {codes.dtype}")
        lowest, highest = (int(value) for value in codes.aminmax())
        if lowest < 0 or highest >= self.num_codes:
            raise ValueError(
                f"expected codes from 0 to {self.num_codes - 1}, found {lowest} to {highest}; "
                "were they made by another tokenizer?"
            )
        vectors = self.network.vectors(codes.to(self.device, torch.int64))
        return self.network.pixels(vectors).clamp(-1, 1)

    def _moved(self, pixels: Tensor) -> Tensor:
        return pixels.to(self.network.quant_conv.weight)

    def _check_pixels(self, pixels: Tensor, partial: bool) -> None:
        if pixels.dim() != 4 or pixels.size(1) != COLOURS or pixels.size(0) == 0:
            raise ValueError(
                f"expected pixels (B, 3, H, W), found {tuple(pixels.shape)}; "
                "convert other pictures to RGB"
            )
        if not pixels.is_floating_point():
            raise ValueError(f"expected pixels in [-1, 1] as floats, found {pixels.dtype}")
        height, width = pixels.shape[2:]
        whole = height % self.factor == 0 == width % self.factor
        if min(height, width) < self.factor or not (whole or partial):
            raise ValueError(
                f"expected sides that are multiples of {self.factor} pixels, found {width} x "
                f"{height}; resize the picture"
            )


def load_image_tokenizer(
    path: str | Path = EMBEDDED, device: torch.device | str = "cpu"
) -> ImageTokenizer:
    """The tokenizer of a file: a published .ckpt or .pt, a .safetensors, or the embedded one.

    Raises FileNotFoundError for a missing file, ValueError for one that does not fit.
    """
    file = EMBEDDED_FILE if str(path) == EMBEDDED else Path(path)
    return ImageTokenizer(read_network(file)).to(device)
