from __future__ import annotations

import multiprocessing
import os
import subprocess
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("fairseq")

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.examples import Example
from biomedgpt_fairseq.data.fairseq_dataset import RowDataset
from biomedgpt_fairseq.data.fairseq_iterator import BatchOptions, RowBatchIterator
from biomedgpt_fairseq.data.pixels import ImageScale, to_pixels

UNIT = ((0.0,) * 3, (1.0,) * 3)


def build(row: int, rng: np.random.Generator, index: int) -> Example:
    """target_text tells which process built it, source holds the row's random number."""
    if row < 0:
        raise BadRow("negative")
    number = torch.tensor([int(rng.integers(4, 1 << 40))])
    tokens = torch.tensor([0, 2])
    return Example(str(row), number, tokens, tokens, None, target_text=str(os.getpid()))


def dataset(num_rows: int, **options: Any) -> RowDataset:
    return RowDataset(list(range(num_rows)), build, pad=1, **{"shuffle": True, **options})


def read(iterator: RowBatchIterator) -> list[list[tuple[str, int]]]:
    """(row id, random number) of all rows of the next epoch, by batch."""
    return [
        list(zip(b["id"], b["net_input"]["src_tokens"].flatten().tolist(), strict=True))
        if b
        else []
        for b in iterator.next_epoch_itr()
    ]


def test_workers_give_what_one_process_gives() -> None:
    rows = dataset(23)
    alone = RowBatchIterator(rows, BatchOptions(4))
    parallel = RowBatchIterator(rows, BatchOptions(4, num_workers=2))
    for _ in range(3):
        assert read(alone) == read(parallel)


def test_workers_stay_alive_over_epochs() -> None:
    iterator = RowBatchIterator(dataset(16), BatchOptions(2, num_workers=2))
    processes = [
        {pid for batch in iterator.next_epoch_itr() for pid in batch["target_strs"]}
        for _ in range(3)
    ]
    assert processes[0] == processes[1] == processes[2]
    assert len(processes[0]) == 2
    assert str(os.getpid()) not in processes[0]


def test_workers_obey_sigterm_of_the_trainer_only() -> None:
    """A cluster sends it to all processes of a job; multiprocessing ends workers with it."""
    iterator = RowBatchIterator(dataset(40), BatchOptions(2, num_workers=1))
    batches = iterator.next_epoch_itr()
    worker = int(next(batches)["target_strs"][0])
    subprocess.run(["kill", "-TERM", str(worker)], check=True)
    assert len([batch["target_strs"] for batch in batches]) == 19
    os.kill(worker, 0)
    process = next(p for p in multiprocessing.active_children() if p.pid == worker)
    process.terminate()
    process.join(20)
    assert process.exitcode == 0


def test_closing_ends_the_workers() -> None:
    iterator = RowBatchIterator(dataset(40), BatchOptions(2, num_workers=1))
    worker = int(next(iterator.next_epoch_itr())["target_strs"][0])
    iterator.close()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_epochs_differ_in_order_and_randomness() -> None:
    iterator = RowBatchIterator(dataset(10), BatchOptions(10))
    first, second = read(iterator), read(iterator)
    assert [r for r, _ in first[0]] != [r for r, _ in second[0]]
    assert set(first[0]).isdisjoint(second[0])


def test_evaluation_is_the_same_in_every_epoch() -> None:
    iterator = RowBatchIterator(dataset(5, shuffle=False), BatchOptions(2))
    first = read(iterator)
    assert read(iterator) == first
    assert [[r for r, _ in batch] for batch in first] == [["0", "1"], ["2", "3"], ["4"]]


def test_abandoned_epoch_leaves_nothing_behind() -> None:
    iterator = RowBatchIterator(dataset(40, shuffle=False), BatchOptions(2, num_workers=2))
    next(iterator.next_epoch_itr())
    assert [r for batch in read(iterator) for r, _ in batch] == [str(i) for i in range(40)]


def test_first_batch_is_the_head_of_the_order() -> None:
    iterator = RowBatchIterator(dataset(9), BatchOptions(4, num_shards=2, shard_id=1))
    assert iterator.first_batch["id"].tolist() == [
        str(i) for i in iterator.dataset.ordered_indices()[:4]
    ]


def test_remainder_is_skipped_on_request() -> None:
    iterator = RowBatchIterator(dataset(11), BatchOptions(2, num_shards=2, skip_remainder=True))
    assert [len(batch) for batch in read(iterator)] == [2, 2] == [2] * len(iterator)


def test_error_in_a_worker_keeps_type_and_place() -> None:
    rows = RowDataset([1, -1], build, pad=1)
    iterator = RowBatchIterator(rows, BatchOptions(2, num_workers=1))
    with pytest.raises(BadRow, match="row:2: negative"):
        read(iterator)


def test_bad_rows_of_workers_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    rows = RowDataset([0, -1, -1, 3], build, pad=1, on_bad_row="skip")
    iterator = RowBatchIterator(rows, BatchOptions(1, num_workers=2))
    assert [r for batch in read(iterator) for r, _ in batch] == ["0", "3", "3", "3"]
    assert rows.bad_rows == 2
    read(iterator)
    assert "2 bad rows were replaced so far" in caplog.text


@pytest.mark.parametrize("num_workers", [0, 2])
def test_images_arrive_normalised(num_workers: int) -> None:
    scale = ImageScale((0.0,) * 3, (1.0,) * 3)

    def with_image(row: int, rng: np.random.Generator, index: int) -> Example:
        pixels = torch.full((3, 2, 2), row, dtype=torch.uint8)
        return replace(build(row, rng, index), image=pixels, image_scale=scale)

    rows = RowDataset([0, 51, 255], with_image, pad=1)
    batches = RowBatchIterator(rows, BatchOptions(2, num_workers=num_workers)).next_epoch_itr()
    means = [b["net_input"]["patch_images"].mean((1, 2, 3)).tolist() for b in batches]
    assert means == [pytest.approx([0.0, 0.2]), pytest.approx([1.0])]
    assert float(rows[1].image.mean()) == pytest.approx(0.2)


def test_kept_batches_do_not_change_when_shared_memory_is_used_again() -> None:
    scale = ImageScale((0.0,) * 3, (1.0,) * 3)

    def with_image(row: int, rng: np.random.Generator, index: int) -> Example:
        time.sleep(0.003 * (row % 5))
        pixels = torch.full((8, 8, 3), row, dtype=torch.uint8).permute(2, 0, 1)
        return replace(build(row, rng, index), image=pixels, image_scale=scale)

    rows = RowDataset(list(range(120)), with_image, pad=1, shuffle=True)
    iterator = RowBatchIterator(rows, BatchOptions(2, num_workers=2))
    for epoch in range(3):
        batches = iterator.next_epoch_itr()
        kept = [next(batches) for _ in range(60 if epoch else 7)]
        for batch in kept:
            expected = [pytest.approx(int(row) / 255) for row in batch["id"]]
            assert batch["net_input"]["patch_images"].amin((1, 2, 3)).tolist() == expected
            assert batch["net_input"]["patch_images"].amax((1, 2, 3)).tolist() == expected


def test_pictures_decoded_into_shared_memory_arrive_with_their_rows() -> None:
    """Batches differ in how many pictures they have, and in their order and size."""

    def with_picture(row: int, rng: np.random.Generator, index: int) -> Example:
        side = 4 + 4 * (row // 40)
        for _ in range(row % 3):  # pictures that are decoded and not used
            to_pixels(Image.new("RGB", (side, side), (0, 0, 0)))
        pixels = to_pixels(Image.new("RGB", (side, side), (row, row, row)))
        return replace(build(row, rng, index), image=pixels, image_scale=ImageScale(*UNIT))

    rows = RowDataset(list(range(80)), with_picture, pad=1, shuffle=False)
    iterator = RowBatchIterator(rows, BatchOptions(4, num_workers=2))
    for _ in range(2):
        for batch in iterator.next_epoch_itr():
            expected = [pytest.approx(int(row) / 255) for row in batch["id"]]
            images = batch["net_input"]["patch_images"]
            assert images.amin((1, 2, 3)).tolist() == images.amax((1, 2, 3)).tolist() == expected


def test_build_uses_an_iterator_again_for_the_same_data_only() -> None:
    cache: dict[str, RowBatchIterator] = {}
    rows = dataset(4)
    first = RowBatchIterator.build(rows, cache, max_sentences=2, max_tokens=None, epoch=1)
    assert RowBatchIterator.build(rows, cache, max_sentences=2, epoch=2) is first
    assert RowBatchIterator.build(rows, cache, max_sentences=4) is not first
    other = RowBatchIterator.build(dataset(4), cache, max_sentences=4, epoch=3)
    assert other.next_epoch_idx == 3
    assert list(cache.values()) == [other]


def test_batch_size_is_required() -> None:
    with pytest.raises(ValueError, match="--batch-size must be given"):
        RowBatchIterator.build(dataset(4), {}, max_tokens=100)
    with pytest.raises(ValueError, match="--batch-size must be positive"):
        RowBatchIterator(dataset(4), BatchOptions(0))
