"""Opening a large indexed row file, and loader throughput against plain decoding and resizing.

    python benchmarks/bench_data.py --rows 1000000 --images 640 --workers 2 --size 384

Prints a table, and writes all figures as JSON with --json FILE.
"""

from __future__ import annotations

import argparse
import base64
import functools
import io
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from biomedgpt_fairseq.data.composition import Example
from biomedgpt_fairseq.data.fairseq_dataset import RowDataset
from biomedgpt_fairseq.data.fairseq_iterator import BatchOptions, RowBatchIterator
from biomedgpt_fairseq.data.image import ImageLoader, ImageTransform
from biomedgpt_fairseq.data.tsv import TsvReader

TEXT = torch.arange(20)
# Run in a fresh process, so that memory is that of opening and of a thousand reads alone.
OPEN = """
import sys, time
from biomedgpt_fairseq.data.tsv import TsvReader
def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
before = resident()
start = time.perf_counter()
reader = TsvReader(sys.argv[1])
opened = time.perf_counter() - start
rows = [reader[i * (len(reader) // 1000)] for i in range(1000)]
after = resident()
print(opened, (after - before) / 1024, (time.perf_counter() - start - opened) / 1000)
"""


def bench_index(folder: Path, num_rows: int) -> dict[str, float]:
    """Seconds and MB for a file of short rows: indexing, then opening with the index."""
    path = folder / "rows.tsv"
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, num_rows, 10_000):
            stop = min(start + 10_000, num_rows)
            file.writelines(
                f"{i}\tis there a fracture in image {i}?\t1.0|!+no\tbone\n"
                for i in range(start, stop)
            )
    start_time = time.perf_counter()
    TsvReader(str(path))
    indexing = time.perf_counter() - start_time
    runs = []
    for _ in range(3):
        run = subprocess.run(
            [sys.executable, "-c", OPEN, str(path)], capture_output=True, text=True, check=True
        )
        runs.append([float(value) for value in run.stdout.split()])
    opening, memory, read = (statistics.median(column) for column in zip(*runs, strict=True))
    return {
        "rows": num_rows,
        "file_mb": path.stat().st_size / 2**20,
        "indexing_s": indexing,
        "opening_s": opening,
        "opening_extra_mb": memory,
        "random_row_us": read * 1e6,
    }


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


def decode_and_resize(data: bytes, size: int) -> int:
    """The least that any loader has to do."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC).width


def plain_rate(data: Sequence[bytes], size: int, workers: int) -> Callable[[], float]:
    """Images a second of decoding and resizing in as many processes, nothing sent back."""
    pool = multiprocessing.get_context("fork").Pool(workers)
    work = functools.partial(decode_and_resize, size=size)

    def measure() -> float:
        start = time.perf_counter()
        # Chunks as large as a batch, so that sending the bytes costs little.
        pool.map(work, data, chunksize=16)
        return len(data) / (time.perf_counter() - start)

    return measure


def loader_rate(path: Path, size: int, workers: int, batch_size: int) -> Callable[[], float]:
    """Images a second of whole batches as the trainer gets them."""
    load = ImageLoader(ImageTransform(size))

    def build(row: list[str], rng: np.random.Generator, index: int) -> Example:
        return Example(row[0], TEXT, TEXT, TEXT, load(row[1], rng), image_scale=load.scale)

    rows = RowDataset(TsvReader(str(path)), build, pad=1, shuffle=True)
    iterator = RowBatchIterator(rows, BatchOptions(batch_size, num_workers=workers))

    def measure() -> float:
        start = time.perf_counter()
        count = sum(len(batch["id"]) for batch in iterator.next_epoch_itr())
        return count / (time.perf_counter() - start)

    return measure


def bench_loader(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Throughput of both, measured in turn so that noise of the machine hits them alike."""
    path = write_images(folder, options.images, options.side, options.format)
    data = [base64.b64decode(row[1]) for row in TsvReader(str(path))]
    plain = plain_rate(data, options.size, options.workers)
    loader = loader_rate(path, options.size, options.workers, options.batch_size)
    plain(), loader()  # start the processes
    rates = [(plain(), loader()) for _ in range(options.repeats)]
    # Other work on the machine only ever slows a run: the best of each is the fairest pair.
    best_plain, best_loader = (max(column) for column in zip(*rates, strict=True))
    return {
        "images": options.images,
        "side": options.side,
        "size": options.size,
        "workers": options.workers,
        "batch_size": options.batch_size,
        "plain_images_per_s": best_plain,
        "loader_images_per_s": best_loader,
        "ratio_of_best": best_loader / best_plain,
        "ratio_median": statistics.median(mine / least for least, mine in rates),
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the indexed file")
    parser.add_argument("--images", type=int, default=640, help="pictures of the loader run")
    parser.add_argument("--side", type=int, default=512, help="side of the stored pictures")
    parser.add_argument("--format", default="JPEG", choices=["JPEG", "PNG"])
    parser.add_argument("--size", type=int, default=384, help="side of the model's input")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = {
            "index": bench_index(folder, options.rows),
            "loader": bench_loader(folder, options),
        }
    for group, values in figures.items():
        for key, value in values.items():
            print(f"{group:8} {key:22} {value:14.4g}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'process':8} {'peak_mb':22} {peak:14.4g}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
