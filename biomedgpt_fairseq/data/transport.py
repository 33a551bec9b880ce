"""Passing batches from a worker process without allocating shared memory for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from biomedgpt_fairseq.data.collate import PackedBatch
from biomedgpt_fairseq.data.memory import is_shared, keep_freed_memory
from biomedgpt_fairseq.data.pixels import PIXELS

Packed: TypeAlias = "PackedBatch | dict[str, Any] | list[PackedBatch | dict[str, Any]]"


@dataclass
class _Slot:
    """Shared memory of one batch on its way.

    pixels: bytes (N,), filled from the front by pictures as they are decoded.
    copies: per part of a list of batches, bytes of pictures that lay elsewhere.
    """

    pixels: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.uint8))
    copies: dict[int, Tensor] = field(default_factory=dict)


def slots_of_worker(in_flight: int) -> int:
    """Slots that a worker uses in turn."""
    # One more for the batch that is being unpacked while the worker has all its tasks.
    return in_flight + 1


class SharedSlots:
    """Collate function of a worker that has image bytes in shared memory used in turn.

    Fresh shared memory has to be zeroed and mapped page by page, which costs a third of a
    millisecond per picture of 384 x 384.

    in_flight: batches of one worker that may be on their way at once.  The receiver must unpack a
    batch before it takes the next one; then a slot is free when its turn comes again.
    A list of batches takes one turn.
    """

    def __init__(self, pack: Callable[[Sequence[Any]], Packed], in_flight: int) -> None:
        self._pack = pack
        self._slots = [_Slot() for _ in range(slots_of_worker(in_flight))]
        self._turn = 0
        self._wanted = self._most = 0  # bytes of this batch, and of the largest one so far

    def start_worker(self, number: int) -> None:
        """Called in each worker process before its first row."""
        keep_freed_memory()
        PIXELS.source = self._take

    def __call__(self, examples: Sequence[Any]) -> Packed:
        packed = self._pack(examples)
        if get_worker_info() is not None:
            slot = self._slots[self._turn]
            for number, part in enumerate(packed if isinstance(packed, list) else [packed]):
                _share_images(part, slot, number)
            self._start_slot()
        return packed

    def _start_slot(self) -> None:
        """Go on to the next slot, made large enough for every batch so far."""
        self._turn = (self._turn + 1) % len(self._slots)
        self._most = max(self._most, self._wanted)
        self._wanted = 0
        slot = self._slots[self._turn]
        if slot.pixels.numel() < self._most:
            slot.pixels = _shared(self._most)

    def _take(self, size: int) -> Tensor | None:
        """The next `size` bytes of the slot, None when it is full."""
        start = self._wanted
        self._wanted += size
        pixels = self._slots[self._turn].pixels
        return pixels[start : start + size] if self._wanted <= pixels.numel() else None


def _shared(size: int) -> Tensor:
    memory = torch.empty(size, dtype=torch.uint8)
    memory.share_memory_()  # type: ignore[no-untyped-call]
    return memory


def _share_images(packed: PackedBatch | dict[str, Any], slot: _Slot, number: int) -> None:
    """Have the image bytes of a batch in shared memory."""
    if not isinstance(packed, PackedBatch):
        return
    images = packed.batch["net_input"].get("patch_images")
    if images is None or images.dtype != torch.uint8 or is_shared(images):
        return
    size = images.numel()
    if number not in slot.copies or slot.copies[number].numel() < size:
        slot.copies[number] = _shared(size)
    shared = slot.copies[number][:size].view(images.shape).copy_(images)
    packed.batch["net_input"]["patch_images"] = shared
