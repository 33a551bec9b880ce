"""All benchmarks, or one of them, as one table of ratios.

    python -m benchmarks --json ratios.json --svg ratios.svg
    python -m benchmarks --quick --only decoding

A line says "A; B": what ours, A, needs and what B needs, medians, and how many times more B needs,
with the range over all repetitions.  Both sides take turns in one run.  --quick has tiny settings,
whose ratios mean little: it shows that everything runs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks import bench_data, bench_decoding, bench_mixed, bench_startup, bench_training
from benchmarks.bench_loader import loader_ratios
from benchmarks.bench_training import Setting
from benchmarks.ratios import Ratio, draw, show
from biomedgpt_fairseq.text.trie import AnswerTrie


def training(quick: bool, repeats: int) -> list[Ratio]:
    """Steps of two networks against plain ones."""
    if quick:
        settings = [Setting("micro", batch=2, image=64, target=8)]
    else:
        settings = [Setting("tiny", batch=4, image=256), Setting("base", batch=2, image=384)]
    return [
        ratio for setting in settings for ratio in bench_training.bench_training(setting, repeats)
    ]


def decoding(quick: bool, repeats: int) -> list[Ratio]:
    """Beam search over a closed answer set."""
    size, batch, image, answers = ("micro", 2, 64, 60) if quick else ("tiny", 16, 256, 5000)
    with torch.inference_mode():
        setting = bench_decoding.build_setting(size, batch, image, repeats)
        trie = AnswerTrie(bench_decoding.make_answers(answers))
        return bench_decoding.bench_search(setting, trie, beam=5)


def candidates(quick: bool, repeats: int) -> list[Ratio]:
    """Scores of all answers, for one sample."""
    size, image = ("micro", 64) if quick else ("tiny", 256)
    goals = {45: None} if quick else bench_decoding.CANDIDATE_GOALS
    with torch.inference_mode():
        setting = bench_decoding.build_setting(size, 1, image, repeats)
        return [
            bench_decoding.bench_candidates(
                setting, AnswerTrie(bench_decoding.make_answers(count)), goal
            )
            for count, goal in goals.items()
        ]


def startup(quick: bool, repeats: int) -> list[Ratio]:
    """A task with many answers."""
    return bench_startup.bench_startup(None, 100 if quick else 5000, repeats)


def loading(quick: bool, repeats: int) -> list[Ratio]:
    """Pictures from disk to batches."""
    few = "--images 8 --side 32 --size 16 --batch-size 4 --workers 1"
    options = few if quick else "--images 96 --workers 2"
    chosen = bench_data.parse_arguments([*options.split(), "--repeats", str(repeats)])
    with tempfile.TemporaryDirectory() as folder:
        return loader_ratios(Path(folder), chosen)


def mixed(quick: bool, repeats: int) -> list[Ratio]:
    """Pictures of mixed pretraining."""
    few = "--rows 16 --side 32 --batch-size 4 --workers 1"
    chosen = bench_mixed.parse_arguments(few.split() if quick else [])
    chosen.repeats = repeats
    with tempfile.TemporaryDirectory() as folder:
        return [bench_mixed.mixed_ratio(Path(folder), chosen)]


BENCHES: dict[str, Callable[[bool, int], list[Ratio]]] = {
    bench.__name__: bench for bench in (training, decoding, candidates, startup, loading, mixed)
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(
        prog="benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=list(BENCHES), action="append", help="not all of them")
    parser.add_argument("--quick", action="store_true", help="tiny settings")
    parser.add_argument("--repeats", type=int, help="default: 5, quickly 1")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--svg", type=Path, help="file for bars of the ratios")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    repeats = args.repeats or (1 if args.quick else 5)
    found = [ratio for name in args.only or BENCHES for ratio in BENCHES[name](args.quick, repeats)]
    if args.quick:
        found = [replace(ratio, goal=None) for ratio in found]
    show(found, args.json)
    if args.svg:
        draw(found, args.svg)
    return 0


if __name__ == "__main__":
    sys.exit(main())
