"""Blocks of the image tokenizer, with the parameter names of the published checkpoints."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

_EPS = 1e-6


def group_norm(channels: int, groups: int) -> nn.GroupNorm:
    """Normalisation over groups of channels and all places."""
    return nn.GroupNorm(groups, channels, eps=_EPS)


def conv3(channels_in: int, channels_out: int) -> nn.Conv2d:
    """3 x 3 convolution that keeps the sides."""
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)


class ResidualBlock(nn.Module):
    """(B, C_in, h, w) -> (B, C_out, h, w): two convolutions beside a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, groups: int) -> None:
        super().__init__()
        self.norm1 = group_norm(channels_in, groups)
        self.conv1 = conv3(channels_in, channels_out)
        self.norm2 = group_norm(channels_out, groups)
        self.conv2 = conv3(channels_out, channels_out)
        if channels_in != channels_out:
            self.nin_shortcut = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(F.silu(self.norm1(x)))
        inner = self.conv2(F.silu(self.norm2(inner)))
        shortcut: Tensor = self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x
        out: Tensor = shortcut + inner
        return out


class AttentionBlock(nn.Module):
    """(B, C, h, w) -> the same: single-head attention between all places, beside a shortcut."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = group_norm(channels, groups)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        # (B, C, h, w) -> (B, 1, h*w, C): one head.
        q, k, v = (layer(normed).flatten(2).mT.unsqueeze(1) for layer in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k, v).squeeze(1).mT.view_as(x)
        out: Tensor = self.proj_out(mixed.contiguous())
        return x + out


class Downsample(nn.Module):
    """(B, C, h, w) -> (B, C, h // 2, w // 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        # Zeros at the right and below only, as the published weights were trained.
        out: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return out


class Upsample(nn.Module):
    """(B, C, h, w) -> (B, C, 2h, 2w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class Middle(nn.Module):
    """(B, C, h, w) -> the same: block, attention, block at the coarsest level."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(channels, channels, groups)
        self.attn_1 = AttentionBlock(channels, groups)
        self.block_2 = ResidualBlock(channels, channels, groups)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return out


class Level(nn.Module):
    """Blocks of one resolution, each with attention behind it or none, then a change of sides."""

    def __init__(
        self, channels: list[int], groups: int, attention: bool, resize: nn.Module | None
    ) -> None:
        """channels: those before the first block and behind each block."""
        super().__init__()
        pairs = list(zip(channels, channels[1:], strict=False))
        self.block = nn.ModuleList(ResidualBlock(a, b, groups) for a, b in pairs)
        self.attn = nn.ModuleList(AttentionBlock(b, groups) for _, b in pairs if attention)
        if isinstance(resize, Downsample):
            self.downsample = resize
        elif resize is not None:
            self.upsample = resize

    def forward(self, x: Tensor) -> Tensor:
        for index, block in enumerate(self.block):
            x = block(x)
            if len(self.attn):
                x = self.attn[index](x)
        if hasattr(self, "downsample"):
            x = self.downsample(x)
        elif hasattr(self, "upsample"):
            x = self.upsample(x)
        return x
