"""The image trunk as libraries have it: a ResNet in the default memory format."""

from __future__ import annotations

from torch import Tensor, nn

from biomedgpt_fairseq.models.resnet import EXPANSION, Trunk


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a residual."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = width * EXPANSION
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + self.downsample(x))  # type: ignore[no-any-return]


class PlainTrunk(nn.Sequential):
    """Three stages of a ResNet."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, trunk.stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(trunk.stem)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = trunk.stem
        for number, (blocks, width) in enumerate(zip(trunk.blocks, trunk.widths, strict=True), 1):
            stage = nn.Sequential()
            for block in range(blocks):
                stride = 2 if block == 0 and number > 1 else 1
                stage.append(Bottleneck(channels, width, stride))
                channels = width * EXPANSION
            self.add_module(f"layer{number}", stage)
