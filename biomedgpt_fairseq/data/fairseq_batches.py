"""Which rows each batch of an epoch holds, for any number of processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from biomedgpt_fairseq.data.fairseq_dataset import EpochDataset


@dataclass(frozen=True)
class BatchOptions:
    """Size of batches, this process' share of them, and how they are loaded.

    skip_remainder: leave out the last rows, so that all batches of all shards are full.
    prefetch: batches that each worker prepares ahead.
    """

    batch_size: int
    num_shards: int = 1
    shard_id: int = 0
    skip_remainder: bool = False
    num_workers: int = 0
    prefetch: int = 2


class EpochBatches:
    """Batch sampler: keys of the items of this shard's batches in one epoch.

    Global batch g holds rows g*size .. (g+1)*size of the epoch's order and belongs to shard
    g % num_shards, so that step s of n shards covers the same rows as n steps of one.
    All shards have the same number of batches; where rows run out a batch is empty.
    """

    def __init__(self, dataset: EpochDataset, options: BatchOptions) -> None:
        self.dataset = dataset
        self.options = options
        self.start_epoch(1, 0)

    def start_epoch(self, epoch: int, first_row: int) -> None:
        """Next iteration: this epoch without its first rows."""
        # Evaluation is the same in every epoch.
        self.epoch = epoch if self.dataset.shuffle else 1
        self.first_row = first_row

    @property
    def rows_per_step(self) -> int:
        """Rows of one batch of all shards."""
        return self.options.batch_size * self.options.num_shards

    @property
    def per_epoch(self) -> int:
        """Batches of this shard in a whole epoch."""
        return self._steps(len(self.dataset))

    def __len__(self) -> int:
        rows = max(len(self.dataset) - self.first_row, 0)
        # An epoch that goes on with larger batches has one at least, full or not.
        return self._steps(rows) or min(rows, self.first_row, 1)

    def __iter__(self) -> Iterator[list[Any]]:
        # Bound here: a later start_epoch must not change an iteration that has begun.
        epoch, order = self.epoch, self.dataset.order(self.epoch)[self.first_row :]
        return (self._batch(epoch, order, i) for i in range(len(self)))

    def _steps(self, rows: int) -> int:
        steps, rest = divmod(rows, self.rows_per_step)
        return steps + (rest > 0 and not self.options.skip_remainder)

    def first(self) -> list[Any]:
        """The first batch of the epoch, whatever the shard."""
        order = self.dataset.order(self.epoch)
        return self._keys(self.epoch, order[: self.options.batch_size])

    def _batch(self, epoch: int, order: np.ndarray, number: int) -> list[Any]:
        size = self.options.batch_size
        start = number * self.rows_per_step + self.options.shard_id * size
        return self._keys(epoch, order[start : start + size])

    def _keys(self, epoch: int, indices: np.ndarray) -> list[Any]:
        return [self.dataset.key(epoch, int(index)) for index in indices]
