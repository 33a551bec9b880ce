"""The loader of mixed pretraining against decoding and the same augmentation in bare processes.

    python -m benchmarks.bench_mixed --rows 320 --side 256 --workers 2 --repeats 9

Phantoms of all four kinds, mixed as the released models were trained, at their image sizes; CPU
milliseconds per picture.  The loader's include texts, wrong answers, collating and sending.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from benchmarks.baselines.mixed_pictures import decode_and_augment, pictures_of
from benchmarks.baselines.picture_decoding import PlainProcesses
from benchmarks.bench_loader import LoaderClock
from benchmarks.ratios import Ratio, show
from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.data.fairseq_batches import BatchOptions
from biomedgpt_fairseq.data.fairseq_iterator import RowBatchIterator
from biomedgpt_fairseq.data.pair_images import PairImages
from biomedgpt_fairseq.tasks.pretrain_options import UnifyOptions
from biomedgpt_fairseq.tasks.unify_task import UnifyTask
from biomedgpt_fairseq.text.compact import train_compact_vocabulary

CODES, BINS = 64, 1000


def make_task(folder: Path, rows: int, side: int) -> UnifyTask:
    """Pretraining on so many pairs of phantoms and what goes with them, all in a folder."""
    sizes = ["--train", str(rows), "--valid", "1", "--test", "0", "--num-codes", str(CODES)]
    command = ["phantoms", "--task", "pretrain", "--output", str(folder), "--size", str(side)]
    if biomedgpt([*command, *sizes]) != 0:
        raise RuntimeError(f"no phantoms could be written to {folder}")
    texts = (folder / "corpus.txt").read_text("utf-8").split("\n")
    train_compact_vocabulary(texts, 600, folder / "bpe")
    sources = {f"{kind}_data": str(folder / f"{kind}.tsv") for kind in ("text", "image")}
    return UnifyTask.setup_task(
        UnifyOptions(
            data=f"{folder / 'train.tsv'},{folder / 'valid.tsv'}",
            detection_data=str(folder / "detection.tsv"),
            neg_sample_dir=str(folder / "negatives"),
            bpe_dir=str(folder / "bpe"),
            code_dict_size=CODES,
            num_bins=BINS,
            patch_image_size=side,
            seed=1,
            **sources,
        )
    )


def mixed_ratio(folder: Path, options: argparse.Namespace) -> Ratio:
    """CPU milliseconds per picture of the loader and of bare processes, in turn."""
    task = make_task(folder, options.rows, options.side)
    task.load_dataset("train")
    dataset = task.dataset("train")
    pictures = pictures_of(dataset, epoch=1)
    form = task.pretrain_options(training=True)
    work = partial(decode_and_augment, pairs=PairImages(options.side, True), options=form)
    plain = PlainProcesses(pictures, work, options.workers, keep_memory=False)
    batches = BatchOptions(options.batch_size, num_workers=options.workers)
    loader = LoaderClock(RowBatchIterator(dataset, batches))
    runs = (loader.measure, plain.measure)
    for run in runs:  # start the processes
        run()
    times = [[1000 * run() / len(pictures) for run in runs] for _ in range(options.repeats)]
    plain.close()
    ours, compared = (list(column) for column in zip(*times, strict=True))
    name = f"mixed loader, {options.workers} workers, CPU ms a picture; plain processes"
    return Ratio(name, ours, compared, 0.8)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of `mixed_ratio`."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.bench_mixed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=320, help="pairs of image and text")
    parser.add_argument(
        "--side", type=int, default=256, help="of pairs, in pixels; all other pictures have 256"
    )
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, help="file for all figures")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    options = parse_arguments(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        show([mixed_ratio(Path(folder), options)], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
