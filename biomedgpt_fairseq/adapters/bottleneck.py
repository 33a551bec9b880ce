"""Bottleneck adapter on the output of a layer's feed-forward block."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class BottleneckAdapter(nn.Module):
    """Adds a small two-layer network to its input (arXiv:1902.00751)."""

    def __init__(self, dim: int, bottleneck: int) -> None:
        super().__init__()
        self.down_proj = nn.Linear(dim, bottleneck)
        self.up_proj = nn.Linear(bottleneck, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return x + self.up_proj(F.relu(self.down_proj(x)))  # type: ignore[no-any-return]
