"""Several sources, mixed by a plan, as a dataset of fairseq."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from biomedgpt_fairseq.data.collate import Batch, PackedBatch, pack
from biomedgpt_fairseq.data.composition import Example
from biomedgpt_fairseq.data.fairseq_dataset import EpochDataset
from biomedgpt_fairseq.data.guarded_rows import GuardedRows
from biomedgpt_fairseq.data.mixture import Kind, Pick, Plan
from biomedgpt_fairseq.data.pretrain_parts import Examples

Packed: TypeAlias = PackedBatch | dict[str, Any]
Collated: TypeAlias = Batch | dict[str, Any]


class Slot(list[tuple[Kind, Example]]):
    """Examples of the rows of one slot, with their kinds."""


class PretrainDataset(EpochDataset):
    """Slots of a plan: `dataset[i]` with normalised images, or `dataset[key]` as they are read.

    sources: rows in the order in which the plan numbers them, and their kinds.
    epoch: the one whose number of slots is the length.

    Training batches are two: pairs of image and text first, everything else second, {} where there
    is nothing.  Elsewhere they are one of each kind, alone or in a list, with the kind at `kind`.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Kind, GuardedRows[Examples]]],
        plan: Plan,
        *,
        pad: int,
        training: bool,
        epoch: int = 1,
    ) -> None:
        super().__init__()
        self.sources = list(sources)
        self.plan = plan
        self.pad = pad
        self.shuffle = training
        self.epoch = epoch
        self._slots = plan.slots(epoch)

    def __len__(self) -> int:
        return self._slots

    def __getitem__(self, key: int | tuple[Pick, ...]) -> Slot:
        if isinstance(key, tuple):
            return self._read(key)
        index = operator.index(key)
        if not 0 <= index < len(self):
            raise IndexError(f"slot {index} is outside of the {len(self)} slots")
        read = self._read(self.plan.item(self.epoch, index))
        return Slot((kind, replace(e, image=e.normalized_image())) for kind, e in read)

    def order(self, epoch: int) -> np.ndarray:
        """The slots as they come: the plan has mixed them."""
        return np.arange(len(self))

    def key(self, epoch: int, index: int) -> tuple[Pick, ...]:
        """The rows of a slot, so that only one process needs the sources' orders."""
        return self.plan.picks(epoch, index)

    def collater(self, samples: Sequence[Slot]) -> Collated | list[Collated]:
        """Batches of the slots; {} for none, which fairseq takes for a dummy batch."""
        packed = self.pack(samples)
        return [_unpacked(part) for part in packed] if isinstance(packed, list) else packed

    def pack(self, samples: Sequence[Slot]) -> list[Packed] | dict[str, Any]:
        """As `collater`, for sending to another process."""
        pairs = [pair for slot in samples for pair in slot]
        if not pairs:
            return {}
        if self.shuffle:
            first = [example for kind, example in pairs if kind == "image_text"]
            second = [example for kind, example in pairs if kind != "image_text"]
            return [pack(group, self.pad, False) if group else {} for group in (first, second)]
        return [_of_kind(kind, pairs, self.pad) for kind in dict.fromkeys(k for k, _ in pairs)]

    def place(self, index: int) -> tuple[str, int]:
        """File and row number (from 1) of the first row of an item."""
        first = self.plan.item(self.epoch, index)[0]
        return self.sources[first.source][1].place(first.row)

    @property
    def bad_rows(self) -> int:
        """Number of different rows that were found bad and replaced."""
        return sum(rows.bad_rows for _, rows in self.sources)

    @property
    def truncated_rows(self) -> int:
        """Number of different rows whose text was cut to fit the position tables."""
        return sum(rows.truncated_rows for _, rows in self.sources)

    def _read(self, picks: Sequence[Pick]) -> Slot:
        slot = Slot()
        for pick in picks:
            kind, rows = self.sources[pick.source]
            slot += [(kind, example) for example in rows.example(pick.epoch, pick.row)]
        return slot


def _of_kind(kind: Kind, pairs: Sequence[tuple[Kind, Example]], pad: int) -> PackedBatch:
    packed = pack([example for k, example in pairs if k == kind], pad, False)
    packed.batch["kind"] = kind
    return packed


def _unpacked(packed: Packed) -> Collated:
    return packed.unpack() if isinstance(packed, PackedBatch) else packed
