"""Opening a large indexed row file, and the loader against plain decoding and resizing.

    python -m benchmarks.bench_data --rows 1000000 --images 640 --workers 2 --size 384

Prints a table, and writes all figures as JSON with --json FILE.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.bench_loader import bench_loader
from biomedgpt_fairseq.data.tsv import TsvReader

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


def bench_index(folder: Path, num_rows: int, repeats: int = 3) -> dict[str, float]:
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
    for _ in range(repeats):
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


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of `bench_index` and `bench_loader`."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_data", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the indexed file")
    parser.add_argument("--images", type=int, default=640, help="pictures of the loader run")
    parser.add_argument("--side", type=int, default=512, help="side of the stored pictures")
    parser.add_argument("--format", default="JPEG", choices=["JPEG", "PNG"])
    parser.add_argument("--size", type=int, default=384, help="side of the model's input")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    options = parse_arguments(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = {
            "index": bench_index(folder, options.rows, min(options.repeats, 3)),
            "loader": bench_loader(folder, options),
        }
    for group, values in figures.items():
        for key, value in values.items():
            print(f"{group:8} {key:28} {value:14.4g}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'process':8} {'peak_mb':28} {peak:14.4g}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
