"""Passing batches from a worker process without allocating shared memory for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from biomedgpt_fairseq.data.collate import PackedBatch
from biomedgpt_fairseq.data.composition import Example

Packed = PackedBatch | dict[str, Any]


class SharedSlots:
    """Collate function of a worker that puts image bytes into shared memory used in turn.

    Fresh shared memory has to be zeroed and mapped page by page, which costs a third of a
    millisecond per picture of 384 x 384.

    in_flight: batches of one worker that may be on their way at once.  The receiver must unpack a
    batch before it takes the next one; then a slot is free when its turn comes again.
    """

    def __init__(self, pack: Callable[[Sequence[Example]], Packed], in_flight: int) -> None:
        self._pack = pack
        # One more for the batch that is being unpacked while the worker has all its tasks.
        self._slots: list[Tensor | None] = [None] * (in_flight + 1)
        self._turn = 0

    def __call__(self, examples: Sequence[Example]) -> Packed:
        packed = self._pack(examples)
        if get_worker_info() is not None and isinstance(packed, PackedBatch):
            images = packed.batch["net_input"].get("patch_images")
            if images is not None and images.dtype == torch.uint8:
                packed.batch["net_input"]["patch_images"] = self._share(images)
        return packed

    def _share(self, images: Tensor) -> Tensor:
        """(B, 3, R, R) uint8 in the next slot."""
        size = images.numel()
        slot = self._slots[self._turn]
        if slot is None or slot.numel() < size:
            slot = torch.empty(size, dtype=torch.uint8)
            slot.share_memory_()  # type: ignore[no-untyped-call]
            self._slots[self._turn] = slot
        self._turn = (self._turn + 1) % len(self._slots)
        rows = images.permute(0, 2, 3, 1)  # (B, R, R, 3), as they lie in memory
        return slot[:size].view(rows.shape).copy_(rows).permute(0, 3, 1, 2)
