"""The image tokenizer's network: encoder, quantiser, decoder."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from biomedgpt_fairseq.image_tokenizer.config import TokenizerConfig
from biomedgpt_fairseq.image_tokenizer.layers import (
    Downsample,
    Level,
    Middle,
    Upsample,
    conv3,
    group_norm,
)

COLOURS = 3


class Encoder(nn.Module):
    """Pixels (B, 3, H, W) -> (B, latent_channels, h, w); each side is halved, rounding down."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        channels, groups = config.channels, config.groups
        last = len(channels) - 1
        self.conv_in = conv3(COLOURS, config.width)
        self.down = nn.ModuleList(
            Level(
                [channels[max(level - 1, 0)] if level else config.width]
                + [channels[level]] * config.blocks,
                groups,
                level in config.attention_levels,
                Downsample(channels[level]) if level < last else None,
            )
            for level in range(len(channels))
        )
        self.mid = Middle(channels[-1], groups)
        self.norm_out = group_norm(channels[-1], groups)
        self.conv_out = conv3(channels[-1], config.latent_channels)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.conv_in(pixels)
        for level in self.down:
            x = level(x)
        out: Tensor = self.conv_out(F.silu(self.norm_out(self.mid(x))))
        return out


class Decoder(nn.Module):
    """(B, latent_channels, h, w) -> pixels (B, 3, h * factor, w * factor), not clamped."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        channels, groups = config.channels, config.groups
        last = len(channels) - 1
        self.conv_in = conv3(config.latent_channels, channels[-1])
        self.mid = Middle(channels[-1], groups)
        # Numbered as the encoder's levels, run from the last to the first.
        self.up = nn.ModuleList(
            Level(
                [channels[min(level + 1, last)]] + [channels[level]] * (config.blocks + 1),
                groups,
                level in config.attention_levels,
                Upsample(channels[level]) if level else None,
            )
            for level in range(len(channels))
        )
        self.norm_out = group_norm(channels[0], groups)
        self.conv_out = conv3(channels[0], COLOURS)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.mid(self.conv_in(latents))
        for level in reversed(cast("list[Level]", list(self.up))):
            x = level(x)
        out: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return out


class GumbelQuantizer(nn.Module):
    """A layer scores the codes of each place; no noise is drawn.

    Original: argmax of scores + Gumbel noise, in evaluation too; here: argmax of the scores,
    because codes must not change from run to run.
    """

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(config.code_dim, config.num_codes, 1)
        self.embed = nn.Embedding(config.num_codes, config.code_dim)

    def scores(self, latents: Tensor) -> Tensor:
        """(B, code_dim, h, w) -> logits (B, num_codes, h, w)."""
        out: Tensor = self.proj(latents)
        return out

    @property
    def codebook(self) -> Tensor:
        """Vector of each code (num_codes, code_dim)."""
        return self.embed.weight


class PlainQuantizer(nn.Module):
    """The row of the codebook that is nearest to the vector of each place."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.num_codes, config.code_dim)

    def scores(self, latents: Tensor) -> Tensor:
        """(B, code_dim, h, w) -> minus the squared distances (B, num_codes, h, w)."""
        rows = self.codebook
        products = torch.einsum("bdhw,nd->bnhw", latents, rows)
        squares = latents.square().sum(1, keepdim=True) + rows.square().sum(1)[:, None, None]
        return 2 * products - squares

    @property
    def codebook(self) -> Tensor:
        """Vector of each code (num_codes, code_dim)."""
        return self.embedding.weight


class VqNetwork(nn.Module):
    """All weights of the tokenizer; state-dict keys are those of taming-transformers."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        kind = GumbelQuantizer if config.quantizer == "gumbel" else PlainQuantizer
        self.quantize: GumbelQuantizer | PlainQuantizer = kind(config)
        self.quant_conv = nn.Conv2d(config.latent_channels, config.code_dim, 1)
        self.post_quant_conv = nn.Conv2d(config.code_dim, config.latent_channels, 1)

    def latents(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) in [-1, 1] -> vectors before they are quantised (B, D, h, w)."""
        out: Tensor = self.quant_conv(self.encoder(pixels))
        return out

    def codes(self, latents: Tensor) -> Tensor:
        """(B, D, h, w) -> the best code of each place (B, h, w) int64."""
        return self.quantize.scores(latents).argmax(dim=1)

    def vectors(self, codes: Tensor) -> Tensor:
        """Codes (B, h, w) -> their vectors (B, D, h, w)."""
        return F.embedding(codes, self.quantize.codebook).movedim(-1, 1)

    def pixels(self, vectors: Tensor) -> Tensor:
        """(B, D, h, w) -> pixels (B, 3, h * factor, w * factor), about [-1, 1], not clamped."""
        out: Tensor = self.decoder(self.post_quant_conv(vectors))
        return out
