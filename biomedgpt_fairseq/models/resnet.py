"""Image stem: a bottleneck ResNet without its last stage and classifier; stride 16."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from biomedgpt_fairseq.config import TrunkNorm
from biomedgpt_fairseq.models.drop_path import DropPath, spaced_rates

EXPANSION = 4
SYNC_EPS = 1e-3
"""Original: synchronised batch norm alone has this eps; checkpoints trained so need it."""


class Trunk(NamedTuple):
    """Blocks and bottleneck widths of the three stages, and channels of the first convolution."""

    blocks: tuple[int, int, int]
    widths: tuple[int, int, int] = (64, 128, 256)
    stem: int = 64

    @property
    def out_channels(self) -> int:
        return self.widths[-1] * EXPANSION


TRUNKS: dict[str, Trunk] = {
    "resnet_micro": Trunk((1, 1, 1), (8, 16, 32), 16),
    "resnet50": Trunk((3, 4, 6)),
    "resnet101": Trunk((3, 4, 23)),
    "resnet152": Trunk((3, 8, 36)),
}


def get_trunk(name: str) -> Trunk:
    """The row of a trunk.  Raises ValueError for an unknown name."""
    if name not in TRUNKS:
        raise ValueError(f"no image trunk is called {name!r}; known: {', '.join(TRUNKS)}")
    return TRUNKS[name]


class FrozenBatchNorm2d(nn.Module):
    """Batch norm whose statistics and affine values are buffers, so that nothing in it changes."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


def trunk_norm(kind: TrunkNorm, channels: int) -> nn.Module:
    """The normalisation that follows each convolution."""
    if kind == "frozen":
        return FrozenBatchNorm2d(channels)
    if kind == "sync":
        return nn.SyncBatchNorm(channels, eps=SYNC_EPS)
    return nn.BatchNorm2d(channels)


def convolve(conv: nn.Module, norm: nn.Module, x: Tensor) -> Tensor:
    """Convolution without bias, then batch norm.

    Where nothing is trained the norm goes into the weights, which saves a pass over the output.
    """
    if norm.training or torch.is_grad_enabled():
        return norm(conv(x))  # type: ignore[no-any-return]
    assert isinstance(conv, nn.Conv2d)
    exact = torch.promote_types(conv.weight.dtype, torch.float32)
    mean, var, weight, bias = (
        getattr(norm, name).to(exact) for name in ("running_mean", "running_var", "weight", "bias")
    )
    scale = weight * torch.rsqrt(var + norm.eps)
    kernel = (conv.weight * scale[:, None, None, None]).to(conv.weight)
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    shift = (bias - mean * scale).to(conv.weight)
    return F.conv2d(x, kernel, shift, conv.stride, conv.padding)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a residual; the stride sits on the 3x3 one."""

    def __init__(
        self, channels: int, width: int, stride: int, norm: TrunkNorm, drop_path: float
    ) -> None:
        super().__init__()
        out = width * EXPANSION
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = trunk_norm(norm, width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = trunk_norm(norm, width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = trunk_norm(norm, out)
        self.drop_path = DropPath(drop_path)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), trunk_norm(norm, out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 4 * width, h / stride, w / stride)."""
        y = F.relu(convolve(self.conv1, self.bn1, x), inplace=True)
        y = F.relu(convolve(self.conv2, self.bn2, y), inplace=True)
        y = self.drop_path(convolve(self.conv3, self.bn3, y))
        if isinstance(self.downsample, nn.Sequential):
            x = convolve(self.downsample[0], self.downsample[1], x)
        return F.relu(y + x, inplace=True)


class ResNet(nn.Module):
    """Convolution, pooling and three stages of bottlenecks."""

    def __init__(self, trunk: Trunk, norm: TrunkNorm = "batch", drop_path: float = 0.0) -> None:
        super().__init__()
        self.out_channels = trunk.out_channels
        self.frozen = False
        """Whether to stay in evaluation mode, so that running statistics do not move."""
        self.conv1 = nn.Conv2d(3, trunk.stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = trunk_norm(norm, trunk.stem)
        channels = trunk.stem
        for number, (blocks, width) in enumerate(zip(trunk.blocks, trunk.widths, strict=True), 1):
            # Original: the first block of a stage has no drop path, which its rate 0 gives.
            rates = spaced_rates(drop_path, blocks)
            stage = nn.Sequential()
            for block, rate in enumerate(rates):
                stride = 2 if block == 0 and number > 1 else 1
                stage.append(Bottleneck(channels, width, stride, norm, rate))
                channels = width * EXPANSION
            self.add_module(f"layer{number}", stage)

    def train(self, mode: bool = True) -> Self:
        """Training mode, unless frozen."""
        return super().train(mode and not self.frozen)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, R, R) -> (B, out_channels, R / 16, R / 16)."""
        # Channels last: faster convolutions, and patches are vectors without another copy.
        x = images.contiguous(memory_format=torch.channels_last)
        x = F.relu(convolve(self.conv1, self.bn1, x), inplace=True)
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        for number in (1, 2, 3):
            x = self.get_submodule(f"layer{number}")(x)
        return x
