"""Bias of one layer's attention: what all layers share, and the layer's tables by position."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from biomedgpt_fairseq.models.positions import relative_bias


class Block(NamedTuple):
    """A square of pairs whose bias a table holds.

    table: (rows, H).  buckets: (n, n) or (B, n, n) rows of it.  row, column: where it starts.
    """

    table: Tensor
    buckets: Tensor
    row: int
    column: int

    def of(self, scores: Tensor) -> Tensor:
        """The block's part of (..., T, S)."""
        n = self.buckets.size(-1)
        return scores[..., self.row : self.row + n, self.column : self.column + n]


class LayerBias(NamedTuple):
    """Shared bias (1 or B, H, T, S), the same tensor in all layers, and a layer's blocks."""

    shared: Tensor
    blocks: tuple[Block, ...] = ()

    def dense(self) -> Tensor:
        """All of it: (1 or B, H, T, S)."""
        if not self.blocks:
            return self.shared
        rows = max(len(self.shared), *(b.buckets.size(0) for b in self._per_sample()), 1)
        bias = self.shared.expand(rows, -1, -1, -1).clone()
        for block in self.blocks:
            part = block.of(bias)
            part += relative_bias(block.table, block.buckets)
        return bias

    def of_head(self, head: int) -> Tensor:
        """That of one head, without a gradient: (1 or B, T, S)."""
        bias = self.shared[:, head]
        if not self.blocks:
            return bias
        rows = max(len(bias), *(b.buckets.size(0) for b in self._per_sample()), 1)
        bias = bias.expand(rows, -1, -1).clone()
        for block in self.blocks:
            part = block.of(bias)
            values = block.table[:, head].contiguous()
            part += values.index_select(0, block.buckets.flatten()).view(block.buckets.shape)
        return bias

    def _per_sample(self) -> list[Block]:
        return [block for block in self.blocks if block.buckets.dim() == 3]

    @staticmethod
    def table_gradient(block: Block, grad: Tensor) -> Tensor:
        """Gradient of one head's column of a table, (rows,) in float32 or better, given that of
        its block: (1 or B, n, n)."""
        exact = torch.promote_types(grad.dtype, torch.float32)
        total = torch.zeros(len(block.table), dtype=exact, device=grad.device)
        if block.buckets.dim() == 2:
            grad = grad.sum(0)
        return total.index_add_(0, block.buckets.flatten(), grad.flatten().to(exact))
