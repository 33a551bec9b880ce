"""Passing batches from a worker process without allocating shared memory for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from biomedgpt_fairseq.data.collate import PackedBatch

Packed = PackedBatch | dict[str, Any] | list[Any]


class SharedSlots:
    """Collate function of a worker that puts image bytes into shared memory used in turn.

    Fresh shared memory has to be zeroed and mapped page by page, which costs a third of a
    millisecond per picture of 384 x 384.

    in_flight: batches of one worker that may be on their way at once.  The receiver must unpack a
    batch before it takes the next one; then a slot is free when its turn comes again.
    A list of batches takes one turn, with a slot for each.
    """

    def __init__(self, pack: Callable[[Sequence[Any]], Packed], in_flight: int) -> None:
        self._pack = pack
        # One more for the batch that is being unpacked while the worker has all its tasks.
        self._slots: list[dict[int, Tensor]] = [{} for _ in range(in_flight + 1)]
        self._turn = 0

    def __call__(self, examples: Sequence[Any]) -> Packed:
        packed = self._pack(examples)
        if get_worker_info() is not None:
            slots = self._slots[self._turn]
            self._turn = (self._turn + 1) % len(self._slots)
            for number, part in enumerate(packed if isinstance(packed, list) else [packed]):
                _share_images(part, slots, number)
        return packed


def _share_images(packed: Packed, slots: dict[int, Tensor], number: int) -> None:
    """Move image bytes of a batch into its slot."""
    if not isinstance(packed, PackedBatch):
        return
    images = packed.batch["net_input"].get("patch_images")
    if images is not None and images.dtype == torch.uint8:
        size = images.numel()
        slot = slots.get(number)
        if slot is None or slot.numel() < size:
            slot = torch.empty(size, dtype=torch.uint8)
            slot.share_memory_()  # type: ignore[no-untyped-call]
            slots[number] = slot
        packed.batch["net_input"]["patch_images"] = slot[:size].view(images.shape).copy_(images)
