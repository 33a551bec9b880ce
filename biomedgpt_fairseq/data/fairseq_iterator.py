"""Batches of rows, epoch after epoch, from worker processes that stay alive."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from fairseq.data.iterators import CountingIterator, EpochBatchIterator
from torch.utils.data import DataLoader

from biomedgpt_fairseq.data.collate import Batch, PackedBatch
from biomedgpt_fairseq.data.fairseq_dataset import EpochDataset
from biomedgpt_fairseq.data.memory import Recycler
from biomedgpt_fairseq.data.transport import SharedSlots

logger = logging.getLogger(__name__)


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

    def start_epoch(self, epoch: int, offset: int) -> None:
        """Next iteration: this epoch without its first batches."""
        # Evaluation is the same in every epoch.
        self.epoch = epoch if self.dataset.shuffle else 1
        self.offset = offset

    @property
    def per_epoch(self) -> int:
        """Batches of this shard in a whole epoch."""
        rows, size, shards = len(self.dataset), self.options.batch_size, self.options.num_shards
        if self.options.skip_remainder:
            return rows // (size * shards)
        return -(-rows // (size * shards))

    def __len__(self) -> int:
        return max(self.per_epoch - self.offset, 0)

    def __iter__(self) -> Iterator[list[Any]]:
        # Bound here: a later start_epoch must not change an iteration that has begun.
        epoch, order = self.epoch, self.dataset.order(self.epoch)
        return (self._batch(epoch, order, i) for i in range(self.offset, self.per_epoch))

    def first(self) -> list[Any]:
        """The first batch of the epoch, whatever the shard."""
        order = self.dataset.order(self.epoch)
        return self._keys(self.epoch, order[: self.options.batch_size])

    def _batch(self, epoch: int, order: np.ndarray, number: int) -> list[Any]:
        size = self.options.batch_size
        start = (number * self.options.num_shards + self.options.shard_id) * size
        return self._keys(epoch, order[start : start + size])

    def _keys(self, epoch: int, indices: np.ndarray) -> list[Any]:
        return [self.dataset.key(epoch, int(index)) for index in indices]


class RowBatchIterator(EpochBatchIterator):  # type: ignore[misc]
    """fairseq's epoch iterator over a dataset of rows, in the dataset's own order.

    The same state as stock's (epoch and batches done), so runs resume in the middle of an epoch.
    One DataLoader serves all epochs.  Stock's shuffling of batches is off.
    """

    def __init__(self, dataset: EpochDataset, options: BatchOptions, epoch: int = 1) -> None:
        if options.batch_size < 1:
            raise ValueError(f"--batch-size must be positive, found {options.batch_size}")
        self.batches = EpochBatches(dataset, options)
        super().__init__(
            dataset,
            dataset.collater,
            batch_sampler=[],
            num_shards=options.num_shards,
            shard_id=options.shard_id,
            num_workers=options.num_workers,
            epoch=epoch,
            disable_shuffling=True,
            skip_remainder_batch=options.skip_remainder,
        )
        self.batches.start_epoch(self.epoch, 0)
        self.dataloader: DataLoader[Any] | None = None
        self._first_batch: Batch | dict[str, Any] | None = None

    @classmethod
    def build(
        cls,
        dataset: EpochDataset,
        cache: MutableMapping[str, RowBatchIterator],
        *,
        max_sentences: int | None = None,
        num_shards: int = 1,
        shard_id: int = 0,
        num_workers: int = 0,
        epoch: int = 1,
        skip_remainder_batch: bool = False,
        disable_iterator_cache: bool = False,
        **other: Any,
    ) -> RowBatchIterator:
        """The iterator for the arguments of fairseq's `get_batch_iterator`.

        cache: iterators made before.  One is used again for the same dataset, and dropped with its
        workers when the training data change from epoch to epoch.
        Batches are counted in rows; lengths are not known before rows are read, so arguments about
        tokens have no effect, and a missing max_sentences raises ValueError.
        """
        if max_sentences is None:
            raise ValueError("--batch-size must be given: rows are batched by number, not by size")
        options = BatchOptions(
            max_sentences, num_shards, shard_id, skip_remainder_batch, num_workers
        )
        if disable_iterator_cache:
            return cls(dataset, options, epoch)
        key = "train" if dataset.shuffle else f"evaluate {dataset.place(0)[0]}"
        found = cache.get(key)
        if found is None or found.dataset is not dataset or found.batches.options != options:
            found = cache[key] = cls(dataset, options, epoch)
        return found

    def __len__(self) -> int:
        return self.batches.per_epoch

    @property
    def first_batch(self) -> Batch | dict[str, Any]:
        """A batch for steps in which this shard has no rows."""
        if self._first_batch is None:
            self._first_batch = self.collate_fn([self.dataset[k] for k in self.batches.first()])
        return self._first_batch

    def next_epoch_itr(
        self,
        shuffle: bool = True,
        fix_batches_to_gpus: bool = False,
        set_dataset_epoch: bool = True,
    ) -> CountingIterator:
        """The batches of the next epoch, or the rest of a resumed one."""
        for count, what in (
            (self.dataset.bad_rows, "bad rows were replaced"),
            (self.dataset.truncated_rows, "rows were cut to the model's position table"),
        ):
            if count:
                logger.warning("%s: %d %s so far", self.dataset.place(0)[0], count, what)
        return super().next_epoch_itr(shuffle, fix_batches_to_gpus, set_dataset_epoch)

    def _get_iterator_for_epoch(
        self, epoch: int, shuffle: bool, fix_batches_to_gpus: bool = False, offset: int = 0
    ) -> CountingIterator | None:
        self.batches.start_epoch(epoch, offset)
        if offset > 0 and len(self.batches) == 0:
            return None
        if self.dataloader is None:
            self.dataloader = self._build_loader()
        return CountingIterator(_Unpacked(self.dataloader), start=offset)

    def _build_loader(self) -> DataLoader[Any]:
        workers = self.num_workers
        if workers > 0:
            # The vocabulary is loaded by now; its threads would not survive the fork.
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        return DataLoader(
            self.dataset,
            batch_sampler=self.batches,
            collate_fn=SharedSlots(self.dataset.pack, self.batches.options.prefetch),
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=workers > 0,
            prefetch_factor=self.batches.options.prefetch if workers > 0 else None,
        )


class _Unpacked:
    """Batches of a loader in the form of the trainer, each unpacked before the next is taken."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        recycler = Recycler()
        batches = iter(self._loader)
        return (_unpack(batch, recycler) for batch in batches)


def _unpack(packed: Any, recycler: Recycler) -> Any:
    if isinstance(packed, list):
        return [_unpack(part, recycler) for part in packed]
    return packed.unpack(recycler.empty) if isinstance(packed, PackedBatch) else packed
