"""The loader against plain decoding and resizing, and what each of its steps costs."""

from __future__ import annotations

import argparse
import base64
import io
import multiprocessing
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image

from benchmarks.baselines.picture_decoding import (
    PlainProcesses,
    decode_and_resize,
    decode_and_resize_rgb,
    decode_rgb,
    keep_freed_memory,
)
from benchmarks.ratios import Ratio
from biomedgpt_fairseq.data.collate import pack
from biomedgpt_fairseq.data.composition import Example
from biomedgpt_fairseq.data.fairseq_dataset import RowDataset
from biomedgpt_fairseq.data.fairseq_iterator import BatchOptions, RowBatchIterator
from biomedgpt_fairseq.data.image import ImageLoader, ImageTransform, decode_base64
from biomedgpt_fairseq.data.memory import Recycler
from biomedgpt_fairseq.data.pixels import to_pixels
from biomedgpt_fairseq.data.tsv import TsvReader

T = TypeVar("T")

TEXT = torch.arange(20)
SIDES = ("plain", "tuned", "loader")


def write_images(folder: Path, count: int, side: int, kind: str) -> Path:
    """TSV of (id, base64) with smooth pictures, which compress as photographs do."""
    path = folder / "images.tsv"
    rng = np.random.default_rng(0)
    with path.open("w", encoding="ascii") as file:
        for i in range(count):
            small = rng.integers(0, 256, (side // 16, side // 16, 3), dtype=np.uint8)
            image = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
            grain = rng.normal(0, 4, (side, side, 3))
            pixels = np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, kind)
            file.write(f"{i}\t{base64.b64encode(buffer.getvalue()).decode()}\n")
    return path


class Cost(NamedTuple):
    """Milliseconds per picture: on the clock, of all processes together, of this process."""

    wall: float
    cpu: float
    parent: float


class LoaderClock:
    """CPU time of an iterator's epochs: of this process and of the iterator's workers."""

    def __init__(self, iterator: RowBatchIterator) -> None:
        self._iterator = iterator
        self._before = set(multiprocessing.active_children())

    def measure(self) -> float:
        """Read all rows once; CPU seconds of this process and of the workers."""
        start = self._cpu_seconds()
        for _ in self._iterator.next_epoch_itr():
            pass
        return self._cpu_seconds() - start

    def _cpu_seconds(self) -> float:
        workers = set(multiprocessing.active_children()) - self._before
        # How Linux encodes the CPU clock of another process, threads included.
        clocks = [~worker.pid << 3 | 2 for worker in workers if worker.pid]
        return time.process_time() + sum(map(time.clock_gettime, clocks))


def picture_loader(path: Path, size: int, workers: int, batch_size: int) -> LoaderClock:
    """Whole batches as the trainer gets them, from rows with base64 pictures."""
    load = ImageLoader(ImageTransform(size))

    def build(row: list[str], rng: np.random.Generator, index: int) -> Example:
        return Example(row[0], TEXT, TEXT, TEXT, load(row[1], rng), image_scale=load.scale)

    rows = RowDataset(TsvReader(str(path)), build, pad=1, shuffle=True)
    return LoaderClock(RowBatchIterator(rows, BatchOptions(batch_size, num_workers=workers)))


def measure_rounds(path: Path, options: argparse.Namespace) -> list[dict[str, Cost]]:
    """Costs of the loader and of bare processes, measured in turn so that noise hits all alike."""
    data = [base64.b64decode(row[1]) for row in TsvReader(str(path))]
    plain, tuned = (
        PlainProcesses(data, partial(work, size=options.size), options.workers, keep)
        for work, keep in ((decode_and_resize, False), (decode_and_resize_rgb, True))
    )
    loader = picture_loader(path, options.size, options.workers, options.batch_size)
    runs = dict(zip(SIDES, (plain.measure, tuned.measure, loader.measure), strict=True))
    for run in runs.values():  # start the processes
        run()
    rounds = [
        {side: _cost(run, len(data)) for side, run in runs.items()} for _ in range(options.repeats)
    ]
    plain.close()
    tuned.close()
    return rounds


def bench_loader(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """The loader against bare processes, and its steps.

    Ratios are those of throughput, per round: median, smallest and largest.  Those of CPU time are
    what a machine without idle cores would show, and hardly depend on what else runs on it.
    """
    path = write_images(folder, options.images, options.side, options.format)
    rounds = measure_rounds(path, options)
    figures = {
        key: getattr(options, key) for key in ("images", "side", "size", "workers", "batch_size")
    }
    return {**figures, **_summarize(rounds), **step_costs(path, options)}


def loader_ratios(folder: Path, options: argparse.Namespace) -> list[Ratio]:
    """CPU milliseconds per picture of the loader against those of bare processes."""
    path = write_images(folder, options.images, options.side, options.format)
    rounds = measure_rounds(path, options)
    name = f"loader, {options.workers} workers, CPU ms a picture"
    loader, plain, tuned = (
        [costs[side].cpu for costs in rounds] for side in ("loader", "plain", "tuned")
    )
    return [
        Ratio(f"{name}; plain processes", loader, plain, 0.9),
        Ratio(f"{name}; tuned processes", loader, tuned),
    ]


def _cost(run: Callable[[], float], count: int) -> Cost:
    start, own = time.perf_counter(), time.process_time()
    cpu = run()
    wall, parent = time.perf_counter() - start, time.process_time() - own
    return Cost(*(1000 * seconds / count for seconds in (wall, cpu, parent)))


def _summarize(rounds: list[dict[str, Cost]]) -> dict[str, float]:
    figures = {}
    for side in SIDES:
        costs = [costs[side] for costs in rounds]
        figures[f"{side}_images_per_s"] = statistics.median(1000 / c.wall for c in costs)
        figures[f"{side}_cpu_ms"] = statistics.median(c.cpu for c in costs)
    figures["loader_parent_cpu_ms"] = statistics.median(c["loader"].parent for c in rounds)
    for side in ("plain", "tuned"):
        for kind in ("wall", "cpu"):
            ratios = [getattr(c[side], kind) / getattr(c["loader"], kind) for c in rounds]
            for label, reduce in (("", statistics.median), ("_min", min), ("_max", max)):
                figures[f"{kind}_ratio_to_{side}{label}"] = reduce(ratios)
    return figures


def step_costs(path: Path, options: argparse.Namespace) -> dict[str, float]:
    """CPU milliseconds per picture of each step alone, in this process, after a pass for warming.

    What the loader costs beyond their sum is passing batches from process to process.
    """
    keep_freed_memory()
    reader, transform, recycler = TsvReader(str(path)), ImageTransform(options.size), Recycler()
    spent: dict[str, float] = defaultdict(float)

    def timed(step: str, work: Callable[[], T]) -> T:
        start = time.process_time()
        result = work()
        spent[step] += time.process_time() - start
        return result

    def build(index: int) -> Example:
        data = timed("read", lambda: decode_base64(reader[index][1]))
        picture = timed("decode", lambda: decode_rgb(data))
        square = timed("resize", lambda: transform.resize(picture))
        pixels = timed("pixels", lambda: to_pixels(square))
        return Example("0", TEXT, TEXT, TEXT, pixels, image_scale=transform.scale)

    for _ in range(2):  # what counts is the second pass
        spent.clear()
        for start in range(0, len(reader), options.batch_size):
            stop = min(start + options.batch_size, len(reader))
            examples = [build(index) for index in range(start, stop)]
            packed = timed("collate", partial(pack, examples, 1, False))
            timed("normalise", partial(packed.unpack, recycler.empty))
    return {f"step_{step}_cpu_ms": 1000 * value / len(reader) for step, value in spent.items()}
