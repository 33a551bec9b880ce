"""Memory and time that a very large row file takes before and while it is trained on.

    python -m benchmarks.bench_scale --rows 10000000 --json scale.json

Short rows of made-up text are written to a temporary folder (70 bytes a row, and 8 for the index).
Each stage is a fresh process. Seconds are those of the CPU, MB those beyond imports: "held" of the
process when the stage is done, "peak" meanwhile. Linux only.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from biomedgpt_fairseq.data.composition import Example
from biomedgpt_fairseq.data.fairseq_dataset import RowDataset
from biomedgpt_fairseq.data.fairseq_iterator import BatchOptions, RowBatchIterator
from biomedgpt_fairseq.data.fairseq_pretrain import PretrainDataset
from biomedgpt_fairseq.data.guarded_rows import GuardedRows
from biomedgpt_fairseq.data.mixture import SharesPlan, Source
from biomedgpt_fairseq.data.pretrain_parts import Examples
from biomedgpt_fairseq.data.sampling import epoch_order
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.data.tsv_index import INDEX_SUFFIX

Figures = dict[str, float]
TEXT, PICTURE = torch.arange(20), torch.zeros(3, 16, 16)
_BATCH, _BATCHES, _WORKERS = 64, 200, 2


def write_rows(path: Path, count: int) -> None:
    """Rows of id and text."""
    with path.open("w", encoding="ascii") as file:
        for start in range(0, count, 100_000):
            rows = range(start, min(start + 100_000, count))
            file.writelines(f"{n}\tno acute finding in report {n}, heart and lungs\n" for n in rows)


def memory(name: str, process: int | str = "self") -> float:
    """MB of a line of /proc: VmRSS, VmHWM (the peak), or Private and Rss of smaps_rollup."""
    source = "status" if name.startswith("Vm") else "smaps_rollup"
    lines = Path(f"/proc/{process}/{source}").read_text("ascii").splitlines()
    sizes = [int(line.split()[1]) for line in lines if line.startswith(name)]
    return sum(sizes) / 1024


def measured(work: Callable[[], Any]) -> tuple[Any, Figures]:
    """What the work returns, its CPU seconds, and memory that it takes."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak starts anew
    before, start = memory("VmRSS"), time.process_time()
    result = work()
    seconds = time.process_time() - start
    held = memory("VmRSS") - before
    return result, {"s": seconds, "held_mb": held, "peak_mb": memory("VmHWM") - before}


def bench_indexing(path: Path) -> Figures:
    """The first opening: the file is scanned, and the index written beside it."""
    Path(f"{path}{INDEX_SUFFIX}").unlink(missing_ok=True)
    return measured(lambda: TsvReader(str(path)))[1]


def bench_opening(path: Path) -> Figures:
    """Every later opening, and a row at random."""
    reader, figures = measured(lambda: TsvReader(str(path)))
    rows = np.random.default_rng(0).integers(0, len(reader), 10_000).tolist()
    _, reading = measured(lambda: [len(reader[row]) for row in rows])
    return {**figures, "row_us": reading["s"] * 1e6 / len(rows)}


def bench_shuffle(path: Path) -> Figures:
    """The order of an epoch."""
    count = len(TsvReader(str(path)))
    return measured(lambda: epoch_order(count, 1, 1))[1]


def bench_mixture(path: Path) -> Figures:
    """The order of an epoch in which two sources of that size are mixed."""
    count = len(TsvReader(str(path)))
    sources = [Source("one", "text", count), Source("two", "text", count)]
    plan = SharesPlan(sources, [1.0, 1.0], count, (1, 7))
    return measured(lambda: (plan.picks(1, 0), plan.picks(1, 1)))[1]


def _example(row: Sequence[str]) -> Example:
    return Example(row[0], TEXT, TEXT, TEXT, PICTURE)


def _rows(path: Path) -> RowDataset:
    return RowDataset(TsvReader(str(path)), lambda r, rng, i: _example(r), pad=1, shuffle=True)


def _mixed(path: Path) -> PretrainDataset:
    rows = GuardedRows(TsvReader(str(path)), lambda r, rng, i: Examples([_example(r)]))
    plan = SharesPlan([Source("one", "text", len(rows))], [1.0], len(rows), (1, 7))
    return PretrainDataset([("text", rows)], plan, pad=1, training=True)


def bench_loading(make: Callable[[Path], Any], path: Path) -> Figures:
    """Opening, the first batch, and memory after some more, with two worker processes."""

    def start() -> Any:
        iterator = RowBatchIterator(make(path), BatchOptions(_BATCH, num_workers=_WORKERS))
        batches = iter(iterator.next_epoch_itr())
        next(batches)
        return iterator, batches

    clock = time.perf_counter()
    (iterator, batches), figures = measured(start)
    wall = time.perf_counter() - clock
    for _ in range(min(_BATCHES, len(iterator) - 1)):
        next(batches)
    workers = [str(child.pid) for child in multiprocessing.active_children()]
    figures["first_batch_wall_s"] = wall
    figures["trainer_rss_mb"] = memory("Rss", os.getpid())
    figures["worker_rss_mb"] = max(memory("Rss", worker) for worker in workers)
    figures["worker_private_mb"] = max(memory("Private", worker) for worker in workers)
    figures["all_pss_mb"] = sum(memory("Pss:", one) for one in ("self", *workers))
    iterator.close()
    return figures


STAGES: dict[str, Callable[[Path], Figures]] = {
    "indexing": bench_indexing,
    "opening": bench_opening,
    "shuffle": bench_shuffle,
    "mixture": bench_mixture,
    "loading": lambda path: bench_loading(_rows, path),
    "loading a mixture": lambda path: bench_loading(_mixed, path),
}


def bench_scale(rows: int, folder: Path | None = None) -> dict[str, Figures]:
    """Figures of each stage."""
    figures: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        path = Path(name) / "rows.tsv"
        write_rows(path, rows)
        sizes = {"rows": float(rows), "file_mb": path.stat().st_size / 2**20}
        for stage in STAGES:
            command = [sys.executable, "-m", "benchmarks.bench_scale", "--stage", stage, str(path)]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            figures[stage] = json.loads(run.stdout.splitlines()[-1])
        sizes["index_mb"] = Path(f"{path}{INDEX_SUFFIX}").stat().st_size / 2**20
    return {"file": sizes, **figures}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_scale", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--stage", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if args.stage:
        print(json.dumps(STAGES[args.stage[0]](Path(args.stage[1]))))
        return 0
    figures = bench_scale(args.rows, args.folder)
    for stage, values in figures.items():
        for name, value in values.items():
            print(f"{stage:18} {name:20} {value:12.4g}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
