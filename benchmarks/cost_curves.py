"""Time against number of answers, image size, batch and rows, with the order of its growth.

    python -m benchmarks.cost_curves --svg docs/cost_curves.svg

Random weights of the tiny network on one thread; each point is the best of a few repetitions, in
seconds of the processor.  The order is the slope of the last points on logarithmic axes.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.baselines.stock_search import BOS
from benchmarks.bench_decoding import build_setting, make_answers
from benchmarks.ratios import save_svg
from biomedgpt_fairseq.config import SIZES
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.decoding.all_candidates import score_candidates
from biomedgpt_fairseq.decoding.fairseq_generator import build_generator
from biomedgpt_fairseq.text.trie import AnswerTrie

Curve = list[tuple[int, float]]
FITTED = 3
"""Points at the end of a curve from which its order is taken."""


def best_of(work: Callable[[], Any], repeats: int) -> float:
    """Least seconds of the processor that a call took."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def growth_order(curve: Curve) -> float:
    """Exponent of the power law through the last points, by least squares of the logarithms."""
    points = [(math.log(x), math.log(y)) for x, y in curve[-FITTED:]]
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return covariance / sum((x - mean_x) ** 2 for x, _ in points)


def answer_curves(size: str, counts: Sequence[int], repeats: int) -> dict[str, Curve]:
    """Building the trie, searching it with beam 5, and scoring all of it, for one sample."""
    setting = build_setting(size, 1, 64, repeats)
    model, net_input = setting.model, setting.net_input
    model.given = model.encode(net_input)
    found: dict[str, Curve] = {"trie": [], "beam search": [], "all candidates": []}
    for count in counts:
        answers = make_answers(count)
        trie = AnswerTrie(answers)
        options = {"beam": 5, "unnormalized": True}
        search = build_generator(setting.vocab, options, trie=trie)
        works: dict[str, Callable[[], Any]] = {
            "trie": lambda answers=answers: AnswerTrie(answers),  # type: ignore[misc]
            "beam search": lambda search=search: search.generate(  # type: ignore[misc]
                [model], {"net_input": net_input}
            ),
            "all candidates": lambda trie=trie: score_candidates(  # type: ignore[misc]
                [model], net_input, [[BOS]], trie, 20
            ),
        }
        for name, work in works.items():
            # Scoring very many takes long enough to be measured once.
            found[name].append((count, best_of(work, repeats if count <= 10_000 else 1)))
    return {f"{name}, answers": curve for name, curve in found.items()}


def encoder_curves(
    size: str, sides: Sequence[int], batches: Sequence[int], repeats: int
) -> dict[str, Curve]:
    """Encoder with trunk against the picture's side for one sample, and against the batch."""

    def encode(batch: int, side: int) -> float:
        setting = build_setting(size, batch, side, repeats)
        return best_of(lambda: setting.model.encode(setting.net_input), repeats)

    return {
        "encoder, pixels a side": [(side, encode(1, side)) for side in sides],
        "encoder, batch": [(batch, encode(batch, sides[0])) for batch in batches],
    }


def row_curve(counts: Sequence[int]) -> dict[str, Curve]:
    """Indexing a file of short rows."""
    curve = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.tsv"
            path.write_text("".join(f"{i}\tis it?\tno\n" for i in range(count)), encoding="utf-8")
            curve.append((count, best_of(lambda path=path: TsvReader(str(path)), 1)))  # type: ignore[misc]
    return {"index of a file, rows": curve}


def draw(curves: dict[str, Curve], path: Path) -> None:
    """Small plots side by side, logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6), layout="constrained")
    axes = figure.subplots(2, 3).flat
    for axis, (name, curve) in zip(axes, curves.items(), strict=False):
        axis.loglog(*zip(*curve, strict=True), marker="o")
        title, unit = name.rsplit(", ", 1)
        axis.set(title=f"{title}: order {growth_order(curve):.2f}", xlabel=unit, ylabel="seconds")
        axis.minorticks_off()
        axis.grid(True, alpha=0.3)
    save_svg(figure, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(prog="benchmarks.cost_curves", description=__doc__)
    parser.add_argument("--size", choices=list(SIZES), default="tiny")
    powers = [10, 100, 1000, 10_000, 100_000]
    parser.add_argument("--answers", type=int, nargs="+", default=powers)
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128, 256, 384, 512])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16, 32, 64])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 10**6, 10**7])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--svg", type=Path, help="file for the plots")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with torch.inference_mode():
        curves = {
            **answer_curves(args.size, args.answers, args.repeats),
            **encoder_curves(args.size, args.sides, args.batches, args.repeats),
            **row_curve(args.rows),
        }
    for name, curve in curves.items():
        points = "  ".join(f"{x}: {y:.4f}" for x, y in curve)
        print(f"{name:<26} order {growth_order(curve):5.2f}   {points}")
    if args.json:
        args.json.write_text(json.dumps(curves, indent=2) + "\n", encoding="utf-8")
    if args.svg:
        draw(curves, args.svg)
    return 0


if __name__ == "__main__":
    sys.exit(main())
