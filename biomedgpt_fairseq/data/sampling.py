"""Order of rows and randomness of rows: pure functions of seed, epoch and row."""

from __future__ import annotations

import numpy as np
import torch

_WORD = (1 << 64) - 1
_ORDER_STREAM = 1
_ROW_STREAM = 2


def epoch_order(num_rows: int, seed: int, epoch: int) -> torch.LongTensor:
    """The permutation (num_rows,) int64 in which an epoch visits its rows."""
    permutation = _stream(seed, epoch, _ORDER_STREAM, 0).permutation(num_rows)
    return torch.from_numpy(permutation).long()  # type: ignore[return-value]


def row_generator(seed: int, epoch: int, row: int) -> np.random.Generator:
    """All randomness of one row in one epoch, whichever process reads it, in whichever order."""
    return _stream(seed, epoch, _ROW_STREAM, row)


def _stream(seed: int, epoch: int, purpose: int, row: int) -> np.random.Generator:
    # Philox is counter-based: different high counter words give streams that never meet.
    key = np.array([seed & _WORD, epoch & _WORD], dtype=np.uint64)
    counter = np.array([0, 0, row & _WORD, purpose], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
