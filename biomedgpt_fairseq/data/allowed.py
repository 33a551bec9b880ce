"""Ids that a closed answer set allows at each target position of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import TypedDict

import torch
from torch import Tensor

from biomedgpt_fairseq.data.composition import Example


class SparseAllowed(TypedDict):
    """Allowed ids of every target position, position b * T + t having
    ids[row_offsets[p] : row_offsets[p + 1]].

    row_offsets: (B*T+1,) int64; ids: (M,) int64; size: (2,) int64, B and T;
    free: (B, T) bool, padding, where everything is allowed.
    """

    row_offsets: Tensor
    ids: Tensor
    size: Tensor
    free: Tensor


def sparse_allowed(examples: Sequence[Example], width: int) -> SparseAllowed:
    """Allowed ids of all examples at T = width target positions.

    Raises ValueError when an example has none.
    """
    positions: list[list[int]] = []
    lengths = []
    for example in examples:
        if example.allowed is None:
            raise ValueError(f"row {example.row_id}: constraints are wanted, but it has none")
        lengths.append(len(example.allowed))
        positions += example.allowed
        positions += [[]] * (width - len(example.allowed))
    offsets = list(accumulate((len(p) for p in positions), initial=0))
    return SparseAllowed(
        row_offsets=torch.tensor(offsets),
        ids=torch.tensor(list(chain.from_iterable(positions)), dtype=torch.int64),
        size=torch.tensor([len(examples), width]),
        free=torch.arange(width) >= torch.tensor(lengths)[:, None],
    )


def dense_allowed(sparse: SparseAllowed, vocab_size: int) -> Tensor:
    """Allowed ids as a mask (B, T, V) bool on the device of the input."""
    free = sparse["free"]
    batch, width = free.shape
    offsets, ids = sparse["row_offsets"], sparse["ids"]
    mask = free.reshape(-1, 1).repeat(1, vocab_size)  # (B*T, V)
    positions = torch.arange(batch * width, device=ids.device)
    # The output size is known, so that no synchronisation with the device is needed.
    owner = positions.repeat_interleave(offsets.diff(), output_size=ids.numel())  # (M,)
    mask[owner, ids] = True
    return mask.view(batch, width, vocab_size)
