"""A training step against the same network in plain torch.

    python -m benchmarks.bench_training --size tiny --batch 4 --image 256

Either side runs in a process of its own, whose memory is its own; both have the same weights and
batch, the losses of their first steps are compared, and they take turns: while one side makes a
step the other waits.  A step is forward, backward, clipping and AdamW.  CPU time of a side's
process depends less on other work of the machine than the clock does.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.baselines.plain_training import PlainTransformer, plain_loss
from benchmarks.ratios import Ratio, matmul_rate, show
from benchmarks.saved_bytes import SavedBytes
from biomedgpt_fairseq.config import SIZES
from biomedgpt_fairseq.criterions.network import run_network
from biomedgpt_fairseq.data.memory import keep_freed_memory
from biomedgpt_fairseq.losses.label_smoothing import LossConfig, select_tokens, smoothed_loss
from biomedgpt_fairseq.models.transformer import build_transformer

PAD, FIRST_WORD, WORDS = 1, 4, 50_000
SMOOTHING = 0.1


@dataclass(frozen=True)
class Setting:
    """What both sides are given."""

    size: str = "tiny"
    batch: int = 4
    image: int = 256
    source: int = 20
    target: int = 24
    threads: int = 1


class Side:
    """A network with its optimizer and batch."""

    def __init__(self, setting: Setting, ours: bool, keep_memory: bool = True) -> None:
        torch.set_num_threads(setting.threads)
        torch.manual_seed(0)
        config = SIZES[setting.size]
        network = build_transformer(config)
        source = torch.randint(FIRST_WORD, WORDS, (setting.batch, setting.source))
        source[0, -3:] = PAD
        prev, target = torch.randint(FIRST_WORD, WORDS, (2, setting.batch, setting.target))
        target[0, -4:] = PAD
        images = torch.randn(setting.batch, 3, setting.image, setting.image)
        if ours:
            if keep_memory:
                keep_freed_memory()
            batch = {"src_tokens": source, "prev_output_tokens": prev, "patch_images": images}
            self.model: nn.Module = network.train()
            self.loss: Callable[[], Tensor] = lambda: our_loss(network, batch, target)
        else:
            plain = PlainTransformer(config).train()
            plain.load_state_dict(network.state_dict())
            self.model = plain
            self.loss = lambda: plain_loss(plain(source, images, prev), target, PAD, SMOOTHING)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=1e-5, fused=True if ours else None
        )

    def step(self) -> dict[str, float]:
        """Forward, backward, clipping and update; seconds of the clock and of the processor."""
        clock, processor = time.perf_counter(), time.process_time()
        loss = self.loss()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        passed = time.perf_counter() - clock, time.process_time() - processor
        return {"loss": loss.item(), "clock": passed[0], "processor": passed[1]}

    def count(self) -> dict[str, float]:
        """Bytes kept for backward outside the trunk; operations of products and convolutions."""
        counter = SavedBytes(self.model)
        with FlopCounterMode(display=False) as operations:
            with counter:
                loss = self.loss()
            loss.backward()
        self.optimizer.zero_grad()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {
            "saved": counter.bytes(),
            "saved_pairs": counter.bytes(pairs=True),
            "operations": operations.get_total_flops(),
            "peak": peak,
        }


def our_loss(network: nn.Module, batch: dict[str, Any], target: Tensor) -> Tensor:
    """Loss as the criterion computes it."""
    rows = select_tokens(target, PAD)
    logits = run_network(network, batch)
    return smoothed_loss(logits, rows, target.flatten()[rows], LossConfig(SMOOTHING)).loss


def serve(pipe: Connection, setting: Setting, ours: bool) -> None:
    """Answer "step" and "count" until None comes."""
    side = Side(setting, ours)
    pipe.send(True)
    while (asked := pipe.recv()) is not None:
        pipe.send(getattr(side, asked)())


def bench_training(setting: Setting, repeats: int) -> list[Ratio]:
    """Ratios of both sides, which are started and stopped."""
    context = get_context("spawn")
    sides = []
    for ours in (True, False):
        here, there = context.Pipe()
        context.Process(target=serve, args=(there, setting, ours), daemon=True).start()
        sides.append(here)
        here.recv()

    def ask(what: str) -> list[dict[str, float]]:
        answers = []
        for pipe in sides:
            pipe.send(what)
            answers.append(pipe.recv())
        return answers

    first = ask("step")
    torch.testing.assert_close(first[0]["loss"], first[1]["loss"], rtol=1e-5, atol=0.0)
    steps, rates = [], []
    for _ in range(repeats):
        steps.append(ask("step"))
        rates.append(matmul_rate(setting.threads))
    counted = ask("count")
    for pipe in sides:
        pipe.send(None)
    return _ratios(setting, steps, rates, counted)


def _ratios(
    setting: Setting,
    steps: Sequence[Sequence[dict[str, float]]],
    rates: Sequence[float],
    counted: Sequence[dict[str, float]],
) -> list[Ratio]:
    """Of both sides, and of either to the rate of a bare product.

    The work is that of the plain step, whatever else ours does.
    """
    name = f"{setting.size} b{setting.batch}@{setting.image}"

    def of_steps(side: int, key: str) -> list[float]:
        return [step[side][key] for step in steps]

    ours, plain = (of_steps(side, "processor") for side in (0, 1))
    least = [counted[1]["operations"] / rate for rate in rates]
    found = [
        Ratio(f"{name}: step, CPU seconds; plain", ours, plain, 1.5),
        Ratio(f"{name}: step, seconds; plain", of_steps(0, "clock"), of_steps(1, "clock")),
        Ratio(f"{name}: step; its products at full rate", ours, least),
        Ratio(f"{name}: plain step; its products at full rate", plain, least),
    ]
    for kind, key, goal in (
        ("MB kept for backward, no trunk; plain", "saved", 1 / 0.6),
        ("MB of it for pairs of positions; plain", "saved_pairs", None),
        ("peak MB of the process; plain", "peak", None),
    ):
        kept, kept_plainly = ([counted[side][key] / 2**20] for side in (0, 1))
        found.append(Ratio(f"{name}: {kind}", kept, kept_plainly, goal))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_training", description=__doc__)
    parser.add_argument("--size", choices=list(SIZES), default=Setting.size)
    parser.add_argument("--batch", type=int, default=Setting.batch, help="samples")
    parser.add_argument("--image", type=int, default=Setting.image, help="pixels a side")
    parser.add_argument("--target", type=int, default=Setting.target, help="tokens of a target")
    parser.add_argument("--threads", type=int, default=Setting.threads)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for all figures")
    args = parser.parse_args(arguments)
    setting = Setting(args.size, args.batch, args.image, target=args.target, threads=args.threads)
    show(bench_training(setting, args.repeats), args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
