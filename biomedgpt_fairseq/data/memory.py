"""Memory that is used again.

Large pieces of memory that are freed go back to the system, and the next ones come from it page by
page, each page zeroed.
"""

from __future__ import annotations

import ctypes
import math
import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

_ALIGNMENT = 64  # bytes, as torch has it
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def keep_freed_memory(piece: int = 2**30, total: int = 2**31 - 1) -> None:
    """Let this process use freed memory again, up to so many bytes.  Does nothing without glibc.

    A training step on a CPU frees and asks for the same large pieces each time; zeroing their
    pages anew takes more than a tenth of it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, piece)
        mallopt(_TRIM_THRESHOLD, total)


class Recycler:
    """Tensors in memory of earlier ones to which nothing refers any more.

    limit: pieces that are remembered; more can be in use.
    """

    def __init__(self, limit: int = 4) -> None:
        self._limit = limit
        # Oldest first, each with the array that its tensor and all views of it hold.
        self._pieces: deque[tuple[np.ndarray, weakref.ref[Any]]] = deque()

    def empty(self, shape: Sequence[int]) -> Tensor:
        """Float32 tensor of that shape, its values undefined."""
        size = math.prod(shape) * 4
        memory = self._take(size)
        start = -memory.ctypes.data % _ALIGNMENT
        view = memory[start : start + size].view(np.float32)
        self._pieces.append((memory, weakref.ref(view)))
        return torch.from_numpy(view).view(*shape)

    def _take(self, size: int) -> np.ndarray:
        if self._pieces and self._pieces[0][1]() is None:
            memory = self._pieces.popleft()[0]
            if memory.size >= size + _ALIGNMENT:
                return memory
        elif len(self._pieces) >= self._limit:
            self._pieces.popleft()
        # Where the system has large pages, numpy asks for them.
        return np.empty(size + _ALIGNMENT, dtype=np.uint8)
