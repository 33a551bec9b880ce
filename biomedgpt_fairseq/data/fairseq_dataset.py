"""Rows of a reader as a dataset of fairseq."""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol

import numpy as np
import torch
from fairseq.data import FairseqDataset

from biomedgpt_fairseq.data.collate import Batch, PackedBatch, collate, pack
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.examples import Example
from biomedgpt_fairseq.data.sampling import epoch_order, row_generator

logger = logging.getLogger(__name__)

OnBadRow = Literal["raise", "skip"]
BuildExample = Callable[[Any, np.random.Generator, int], Example]
# (epoch, row): what the iterator asks for, so that workers need not be told of a new epoch.
RowKey = tuple[int, int]

_BAD, _TRUNCATED = 1, 2


class Rows(Protocol):
    """Anything with rows; a reader also has `locate`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


class RowDataset(FairseqDataset):  # type: ignore[misc]
    """Examples by row: `dataset[i]`, with a normalised image.

    `dataset[epoch, i]` has the randomness of that epoch, and its image may still be bytes: so the
    iterator asks, to pass them cheaply between processes.

    build_example: (row, generator, index) -> Example; raises BadRow for a row it cannot use.
    shuffle: training data; its order is a permutation by seed and epoch, otherwise the file's.
    on_bad_row: raise, or skip: the row is logged with its place, counted, and replaced by the next
    good one.  Which row replaces it depends on the rows alone.
    """

    def __init__(
        self,
        reader: Rows,
        build_example: BuildExample,
        *,
        pad: int,
        seed: int = 1,
        shuffle: bool = False,
        with_constraints: bool = False,
        on_bad_row: OnBadRow = "raise",
    ) -> None:
        super().__init__()
        if on_bad_row not in ("raise", "skip"):
            raise ValueError(f"--on-bad-row must be raise or skip, found {on_bad_row!r}")
        self.reader = reader
        self.build_example = build_example
        self.pad = pad
        self.seed = seed
        self.shuffle = shuffle
        self.with_constraints = with_constraints
        self.on_bad_row = on_bad_row
        self.epoch = 1
        # Shared with worker processes, and safe there: a row's flag is only ever set.
        self._flags = torch.zeros(len(reader), dtype=torch.uint8)
        self._flags.share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, key: int | RowKey) -> Example:
        if isinstance(key, tuple):
            return self._example(*key)
        example = self._example(self.epoch, operator.index(key))
        return replace(example, image=example.normalized_image())

    def _example(self, epoch: int, index: int) -> Example:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} is outside of the {len(self)} rows")
        if self.on_bad_row == "raise":
            return self._build(epoch, index)
        for step in range(len(self)):
            example = self._build_or_note((index + step) % len(self), epoch)
            if example is not None:
                return example
        raise ValueError(f"{self.place(0)[0]}: none of the {len(self)} rows can be used")

    def collater(self, samples: Sequence[Example]) -> Batch | dict[str, Any]:
        """The batch of the examples; {} for none, which fairseq takes for a dummy batch."""
        return collate(samples, self.pad, self.with_constraints) if samples else {}

    def pack(self, samples: Sequence[Example]) -> PackedBatch | dict[str, Any]:
        """As `collater`, for sending to another process."""
        return pack(samples, self.pad, self.with_constraints) if samples else {}

    def set_epoch(self, epoch: int) -> None:
        """The epoch of rows that are asked for without one."""
        self.epoch = epoch

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        """Yes: the iterator itself makes each epoch's order."""
        return True

    def order(self, epoch: int) -> np.ndarray:
        """All rows (N,) int64, each once, in the order of an epoch."""
        if self.shuffle:
            return epoch_order(len(self), self.seed, epoch).numpy()
        return np.arange(len(self))

    def ordered_indices(self) -> np.ndarray:
        """The order (N,) int64 of the current epoch."""
        return self.order(self.epoch)

    def filter_indices_by_size(
        self, indices: np.ndarray, max_sizes: object
    ) -> tuple[np.ndarray, list[int]]:
        """All indices: builders cut text to the position tables and say so."""
        return indices, []

    @property
    def bad_rows(self) -> int:
        """Number of different rows that were found bad and replaced."""
        return self._count(_BAD)

    @property
    def truncated_rows(self) -> int:
        """Number of different rows whose text was cut to fit the position tables."""
        return self._count(_TRUNCATED)

    def place(self, index: int) -> tuple[str, int]:
        """File and row number (from 1) of a row."""
        locate = getattr(self.reader, "locate", None)
        return ("row", index + 1) if locate is None else locate(index)

    def _build(self, epoch: int, index: int) -> Example:
        try:
            row = self.reader[index]
            example = self.build_example(row, row_generator(self.seed, epoch, index), index)
        except BadRow as error:
            # Not `from error`: worker processes send the text, and one place is enough.
            raise error.at(*self.place(index)) from None
        if example.truncated:
            self._note_truncated(index)
        return example

    def _build_or_note(self, index: int, epoch: int) -> Example | None:
        """The example, or None for a bad row, which is logged the first time."""
        if self._flags[index] & _BAD:
            return None
        try:
            return self._build(epoch, index)
        except BadRow as error:
            self._flags[index] |= _BAD
            logger.warning("bad row replaced by the next good one: %s", error)
            return None

    def _note_truncated(self, index: int) -> None:
        if not self._flags[index] & _TRUNCATED:
            self._flags[index] |= _TRUNCATED
            if self.truncated_rows == 1:
                logger.warning(
                    "%s:%d: text cut to the model's position table; further rows are only counted",
                    *self.place(index),
                )

    def _count(self, flag: int) -> int:
        return int((self._flags & flag).count_nonzero())
