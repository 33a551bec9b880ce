"""Rows of a reader as a dataset of fairseq."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from fairseq.data import FairseqDataset

from biomedgpt_fairseq.data.collate import Batch, PackedBatch, collate, pack
from biomedgpt_fairseq.data.examples import Example
from biomedgpt_fairseq.data.guarded_rows import GuardedRows, OnBadRow, Rows
from biomedgpt_fairseq.data.sampling import epoch_order

BuildExample = Callable[[Any, np.random.Generator, int], Example]
# (epoch, row): what the iterator asks for, so that workers need not be told of a new epoch.
RowKey = tuple[int, int]


class EpochDataset(FairseqDataset):  # type: ignore[misc]
    """What `RowBatchIterator` and fairseq's trainer need of a dataset.

    It is read by keys: `dataset[key]`, for workers to be told the epoch with the row.
    shuffle: training data, which differ from epoch to epoch.
    """

    shuffle: bool
    epoch: int = 1

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, key: Any) -> Any: ...

    @abstractmethod
    def pack(self, samples: Sequence[Any]) -> Any:
        """As `collater`, for sending to another process."""

    @abstractmethod
    def order(self, epoch: int) -> np.ndarray:
        """All items (N,) int64, each once, in the order of an epoch."""

    @abstractmethod
    def key(self, epoch: int, index: int) -> Any:
        """What to ask the dataset for to have an item with the randomness of an epoch."""

    @abstractmethod
    def place(self, index: int) -> tuple[str, int]:
        """File and row number (from 1) of an item."""

    def set_epoch(self, epoch: int) -> None:
        """The epoch of items that are asked for by their number."""
        self.epoch = epoch

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        """Yes: the iterator itself makes each epoch's order."""
        return True

    def ordered_indices(self) -> np.ndarray:
        """The order (N,) int64 of the current epoch."""
        return self.order(self.epoch)

    def filter_indices_by_size(
        self, indices: np.ndarray, max_sizes: object
    ) -> tuple[np.ndarray, list[int]]:
        """All indices: builders cut text to the position tables and say so."""
        return indices, []


class RowDataset(GuardedRows[Example], EpochDataset):
    """Examples by row: `dataset[i]`, with a normalised image.

    `dataset[epoch, i]` has the randomness of that epoch, and its image may still be bytes: so the
    iterator asks, to pass them cheaply between processes.

    shuffle: training data; its order is a permutation by seed and epoch, otherwise the file's.
    Other arguments: see GuardedRows.
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
        super().__init__(reader, build_example, seed=seed, on_bad_row=on_bad_row)
        self.pad = pad
        self.shuffle = shuffle
        self.with_constraints = with_constraints

    def __getitem__(self, key: int | RowKey) -> Example:
        if isinstance(key, tuple):
            return self.example(*key)
        example = self.example(self.epoch, operator.index(key))
        return replace(example, image=example.normalized_image())

    def collater(self, samples: Sequence[Example]) -> Batch | dict[str, Any]:
        """The batch of the examples; {} for none, which fairseq takes for a dummy batch."""
        return collate(samples, self.pad, self.with_constraints) if samples else {}

    def pack(self, samples: Sequence[Example]) -> PackedBatch | dict[str, Any]:
        """As `collater`, for sending to another process."""
        return pack(samples, self.pad, self.with_constraints) if samples else {}

    def order(self, epoch: int) -> np.ndarray:
        """All rows (N,) int64, each once, in the order of an epoch."""
        if self.shuffle:
            return epoch_order(len(self), self.seed, epoch).numpy()
        return np.arange(len(self))

    def key(self, epoch: int, index: int) -> RowKey:
        """The row in an epoch."""
        return epoch, index
