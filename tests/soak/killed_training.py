"""Pretraining on all four kinds of rows that is killed at random instants, again and again.

    python -m tests.soak.killed_training --kills 100 --output runs/soak

Every loss that any start computes must be bit-equal to that of a run which nobody stopped, every
checkpoint that a kill leaves behind must be whole, and the last one equal to the unbroken run's.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # optimizers import it; starts need not
from fairseq.logging import metrics
from fairseq.trainer import Trainer

from benchmarks.loss_curves import LOSSES, Curves, compare
from biomedgpt_fairseq import fairseq_register as fairseq_register
from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.fairseq_recovery import damage
from biomedgpt_fairseq.text.compact import train_compact_vocabulary
from tests.e2e.e2e_commands import (
    NETWORK,
    PLUGIN,
    TRAINING,
    largest_difference,
    read_checkpoint,
    train_here,
)

ROWS = 96
RUN = """
    --code-dict-size 64 --patch-image-size 32 --batch-size 4 --sample-patch-num 3 --num-workers 1
    --instruction-variants 0.3 --distributed-world-size 1 --dropout 0.1 --attention-dropout 0.1
    --encoder-drop-path-rate 0.1 --decoder-drop-path-rate 0.1 --store-ema --ema-decay 0.9
    --save-interval-updates 5 --keep-interval-updates 1 --no-epoch-checkpoints
"""
FORK = multiprocessing.get_context("fork")


@dataclass
class Soak:
    """What was seen.  runs: training runs that were killed and in the end complete."""

    kills: int = 0
    starts: int = 0
    losses: int = 0
    checkpoints: int = 0
    runs: int = 0
    largest: float = 0.0


def make_data(folder: Path) -> None:
    """Phantoms of all kinds, and a vocabulary."""
    sizes = ["--train", str(ROWS), "--valid", "4", "--test", "0", "--size", "32"]
    words = ["phantoms", "--task", "pretrain", "--output", str(folder), "--num-codes", "64"]
    if biomedgpt([*words, *sizes]) != 0:
        raise RuntimeError("no phantoms")
    texts = (folder / "corpus.txt").read_text("utf-8").split("\n")
    train_compact_vocabulary(texts, 600, folder / "vocabulary")


def train(data: Path, run_dir: Path, updates: int, *options: str) -> None:
    """Start or resume a run in this process; writes the losses of each update to losses.jsonl.

    Later options replace those of RUN.
    """
    os.setsid()
    log = os.open(run_dir / "train.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    Trainer.train_step = _recorded(Trainer.train_step, run_dir / "losses.jsonl")  # type: ignore
    files = [f"{data / 'train.tsv'},{data / 'valid.tsv'}"]
    for kind in ("text", "image", "detection"):
        files += [f"--{kind}-data", str(data / f"{kind}.tsv")]
        files += [f"--valid-{kind}-data", str(data / f"valid_{kind}.tsv")]
    train_here(
        [
            *("fairseq-train", *files, "--user-dir", str(PLUGIN), "--task", "unify_task"),
            *("--bpe-dir", str(data / "vocabulary"), "--neg-sample-dir", str(data / "negatives")),
            *(*NETWORK.split(), *TRAINING.split(), *RUN.split()),
            *("--max-update", str(updates), "--save-dir", str(run_dir / "checkpoints"), *options),
        ]
    )


def _recorded(stock: Any, path: Path) -> Any:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    pid = os.getpid()

    def train_step(self: Any, samples: Any, raise_oom: bool = False) -> Any:
        log = stock(self, samples, raise_oom)
        if log is not None:
            meters = {name: metrics.get_meter("train", name) for name in LOSSES}
            values = {name: float(meter.val) for name, meter in meters.items() if meter}
            record = {"start": pid, "update": self.get_num_updates(), "losses": values}
            # One write a line: a kill leaves whole lines.
            os.write(file, (json.dumps(record) + "\n").encode())
        return log

    return train_step


def read_starts(run_dir: Path) -> list[Curves]:
    """Losses that each start of a run computed."""
    path = run_dir / "losses.jsonl"
    starts: dict[int, Curves] = {}
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        record = json.loads(line)
        for name, value in record["losses"].items():
            curves = starts.setdefault(record["start"], {})
            curves.setdefault(name, {})[record["update"]] = value
    return list(starts.values())


def check_checkpoints(run_dir: Path) -> int:
    """Number of checkpoints in the folder, all of them whole.  Raises RuntimeError otherwise."""
    paths = sorted((run_dir / "checkpoints").glob("*.pt"))
    for path in paths:
        reason = damage(path)
        if reason is not None:
            raise RuntimeError(f"a kill left a damaged checkpoint: {reason}")
        read_checkpoint(path)
    return len(paths)


def wait_before_kill(worker: Any, losses: Path, rng: random.Random) -> None:
    """Until some instant: one of six kills comes before the first update, others up to 15 later."""
    updates, pause = rng.choice((0, 3, 6, 9, 12, 15)), rng.uniform(0.1, 0.9)
    before = _lines(losses)
    while _lines(losses) < before + updates:
        worker.join(0.02)
        if not worker.is_alive():
            return
    worker.join(pause)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def killed_run(data: Path, run_dir: Path, updates: int, kills: int, seed: int, soak: Soak) -> None:
    """Train to the end, with up to so many kills at random instants."""
    run_dir.mkdir()
    rng, here = random.Random(seed), 0
    while True:
        worker = FORK.Process(target=train, args=(data, run_dir, updates))
        worker.start()
        soak.starts += 1
        if here < kills:
            wait_before_kill(worker, run_dir / "losses.jsonl", rng)
        else:
            worker.join()
        if worker.is_alive():
            os.killpg(worker.pid, signal.SIGKILL)  # its workers with it
            worker.join()
        if worker.exitcode == 0:
            break
        if worker.exitcode != -signal.SIGKILL:
            tail = (run_dir / "train.log").read_text("utf-8")[-3000:]
            raise RuntimeError(f"training ended with {worker.exitcode}: {tail}")
        here += 1
        soak.kills += 1
        soak.checkpoints += check_checkpoints(run_dir)
    soak.runs += 1


def compare_run(whole_dir: Path, run_dir: Path, soak: Soak) -> None:
    """Add the differences from the unbroken run.  Raises RuntimeError if there is one."""
    (whole,) = read_starts(whole_dir)
    for start in read_starts(run_dir):
        soak.largest = max(soak.largest, compare(whole, start)[2])
        soak.losses += sum(map(len, start.values()))
    ends = [read_checkpoint(run / "checkpoints/checkpoint_last.pt") for run in (whole_dir, run_dir)]
    for end in ends:
        end["schedule"] = end["optimizer_history"][-1]  # the others are those of earlier starts
    for part in ("model", "last_optimizer_state", "schedule"):
        soak.largest = max(soak.largest, largest_difference(*(end[part] for end in ends)))
    extra = [end["extra_state"] for end in ends]
    for part in ("ema", "best", "train_iterator"):
        soak.largest = max(soak.largest, largest_difference(*(one[part] for one in extra)))
    if soak.largest > 0:
        raise RuntimeError(f"{run_dir} is not the unbroken run: largest difference {soak.largest}")


def run_soak(folder: Path, kills: int, updates: int, seed: int = 1) -> Soak:
    """An unbroken run, and killed ones until there were so many kills."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    make_data(folder / "data")
    (folder / "whole").mkdir()
    worker = FORK.Process(target=train, args=(folder / "data", folder / "whole", updates))
    worker.start()
    worker.join()
    if worker.exitcode != 0:
        raise RuntimeError(f"the unbroken run failed; see {folder / 'whole' / 'train.log'}")
    soak, started = Soak(), time.monotonic()
    while soak.kills < kills:
        run_dir = folder / f"killed{soak.runs}"
        killed_run(folder / "data", run_dir, updates, kills - soak.kills, seed + soak.runs, soak)
        compare_run(folder / "whole", run_dir, soak)
        print(f"{time.monotonic() - started:.0f} s: {soak}", flush=True)
    return soak


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--output", type=Path, required=True, help="a folder that is not there yet")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--updates", type=int, default=200, help="of each run")
    parser.add_argument("--seed", type=int, default=1, help="of the instants")
    args = parser.parse_args(arguments)
    run_soak(args.output, args.kills, args.updates, args.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
