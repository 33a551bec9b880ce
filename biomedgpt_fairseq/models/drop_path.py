"""Stochastic depth."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Zero whole samples of a residual branch in training, and scale up the others."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"a drop path rate must be in [0, 1), found {rate}")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> the same shape."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        shape = (x.size(0),) + (1,) * (x.dim() - 1)
        return x * torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(keep).div_(keep)


def spaced_rates(rate: float, count: int) -> list[float]:
    """`count` rates from 0 to `rate`, evenly spaced."""
    return [rate * i / max(1, count - 1) for i in range(count)]
