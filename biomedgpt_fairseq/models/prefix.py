"""Slot for learned keys and values in front of every self-attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from biomedgpt_fairseq.models.attention import KeyValue
from biomedgpt_fairseq.models.layers import Extend, keep


class NoPrefix(nn.Module):
    """The empty slot, and the interface of what may fill it."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = layers
        self.length = 0

    def forward(self, batch: int) -> Sequence[KeyValue | None]:
        """Keys and values (batch, H, length, h) of every layer; None: nothing in front."""
        return [None] * self.layers


def extender(prefix: KeyValue | None) -> Extend:
    """Puts the prefix in front of the keys and values of a whole sequence."""
    return keep if prefix is None else prefix.append


def widen(bias: Tensor, length: int) -> Tensor:
    """Zero bias towards a prefix: (B, H, T, S) -> (B, H, T, length + S)."""
    return F.pad(bias, (length, 0)) if length else bias


def widen_padding(padding: Tensor, length: int) -> Tensor:
    """A prefix is never padding: (B, S) -> (B, length + S)."""
    return F.pad(padding, (length, 0), value=False) if length else padding
