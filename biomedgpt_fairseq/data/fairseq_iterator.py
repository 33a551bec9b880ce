"""Batches of rows, epoch after epoch, from worker processes that stay alive."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, MutableMapping
from typing import Any

import torch
from fairseq.data.iterators import CountingIterator, EpochBatchIterator
from torch.utils.data import DataLoader

from biomedgpt_fairseq.data.collate import Batch, PackedBatch
from biomedgpt_fairseq.data.fairseq_batches import BatchOptions, EpochBatches
from biomedgpt_fairseq.data.fairseq_dataset import EpochDataset
from biomedgpt_fairseq.data.memory import Recycler
from biomedgpt_fairseq.data.transport import SharedSlots

logger = logging.getLogger(__name__)


class RowBatchIterator(EpochBatchIterator):  # type: ignore[misc]
    """fairseq's epoch iterator over a dataset of rows, in the dataset's own order.

    Its state has the rows that all shards have done together, next to stock's batches of one of
    them, so runs resume in the middle of an epoch with any number of shards and any batch size.
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
        self._first_row = self._first_step = self._resumed_row = 0
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

    @property
    def rows_in_epoch(self) -> int:
        """Rows of the current epoch that were taken, by all shards together."""
        counter = self._cur_epoch_itr or self._next_epoch_itr
        if counter is None:
            return 0
        rows = self._first_row + (counter.n - self._first_step) * self.batches.rows_per_step
        return min(int(rows), len(self.dataset))

    def state_dict(self) -> dict[str, Any]:
        """Stock's state, `rows_in_epoch`, and `rows_per_step` to tell whether shards changed."""
        state: dict[str, Any] = super().state_dict()
        rows = self.rows_in_epoch if state["iterations_in_epoch"] else 0
        return {**state, "rows_in_epoch": rows, "rows_per_step": self.batches.rows_per_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at a state, which may come from stock fairseq or from other shards."""
        per_step, done = self.batches.rows_per_step, state_dict.get("iterations_in_epoch", 0)
        self._resumed_row = state_dict.get("rows_in_epoch", done * per_step)
        if state_dict.get("rows_per_step", per_step) != per_step:
            logger.info(
                "epoch %d goes on after %d of its rows with %d rows a step instead of %d",
                state_dict["epoch"],
                self._resumed_row,
                per_step,
                state_dict["rows_per_step"],
            )
        super().load_state_dict(state_dict)

    def _get_iterator_for_epoch(
        self, epoch: int, shuffle: bool, fix_batches_to_gpus: bool = False, offset: int = 0
    ) -> CountingIterator | None:
        self._first_row = self._resumed_row if offset > 0 else 0
        # Where steps had another size, the steps before this one are counted in the present size.
        self._first_step = self._first_row // self.batches.rows_per_step
        self.batches.start_epoch(epoch, self._first_row)
        if offset > 0 and len(self.batches) == 0:
            return None
        if self.dataloader is None:
            self.dataloader = self._build_loader()
        return CountingIterator(_Unpacked(self.dataloader), start=self._first_step)

    def close(self) -> None:
        """End the workers."""
        workers = getattr(self.dataloader, "_iterator", None)
        if workers is not None and self.num_workers > 0:
            # Otherwise the exit of the program waits for them one by one.
            workers._shutdown_workers()
        self.dataloader = None

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
            worker_init_fn=_outlive_sigterm,
            persistent_workers=workers > 0,
            prefetch_factor=self.batches.options.prefetch if workers > 0 else None,
        )


def _outlive_sigterm(worker: int) -> None:
    """Let SIGTERM end a worker only if it comes from the trainer.

    A cluster sends it to all processes of a job, and the trainer needs batches until it has saved.
    """
    if not hasattr(signal, "sigwaitinfo"):  # a system that does not tell the sender
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_trainer, args=(os.getppid(),), daemon=True).start()


def _end_with_trainer(trainer: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != trainer:
        logger.debug("SIGTERM is left to the trainer")
    os._exit(0)


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
