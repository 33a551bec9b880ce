"""Command lines of the installed programs, and small data sets for them."""

from __future__ import annotations

import io
import json
import logging
import multiprocessing
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from fairseq_compat import safe_load

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "biomedgpt_fairseq"
NETWORK = """
    --arch ofa_micro --encoder-normalize-before --decoder-normalize-before --share-all-embeddings
    --share-decoder-input-output-embed --layernorm-embedding --patch-layernorm-embedding
    --code-layernorm-embedding --add-type-embedding --scale-attn --scale-fc --scale-heads
    --disable-entangle
"""
TRAINING = """
    --criterion adjust_label_smoothed_cross_entropy --optimizer adam --adam-betas (0.9,0.999)
    --lr-scheduler polynomial_decay --lr 1e-3 --clip-norm 1.0 --weight-decay 0.01
    --cpu --log-format simple --log-interval 1 --required-batch-size-multiple 1
"""


@dataclass(frozen=True)
class Corpus:
    """Small data sets of every task and a vocabulary for them."""

    folder: Path

    @property
    def vocabulary(self) -> Path:
        return self.folder / "vocabulary"

    def task_options(self, name: str, data: Path | None = None) -> list[str]:
        """Data (by default the corpus') and options of a task."""
        answers = ["--ans2label-file", str(self.folder / name / "answers.json")]
        specific = {
            "image_classify": ["--selected-cols", "0,2", "--augmentation", "none", *answers],
            "vqa_gen": ["--selected-cols", "0,5,2,3,4", *answers],
            "gigaword": ["--selected-cols", "0,1"],
            "mnli": ["--selected-cols", "0,1,2"],
            "caption": ["--selected-cols", "0,4,2"],
            "text_classify": ["--selected-cols", "0,1,2", *answers],
        }[name]
        common = ["--bpe-dir", str(self.vocabulary), "--patch-image-size", "32"]
        common += ["--code-dict-size", "0", "--num-bins", "0"]
        folder = data or self.folder / name
        files = f"{folder / 'train.tsv'},{folder / 'valid.tsv'}"
        return [files, "--task", name, *specific, *common]


@dataclass(frozen=True)
class Result:
    """A finished process."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


def program(name: str) -> str:
    """Path of one of the installed programs, or of python."""
    return str(Path(sys.executable).parent / name)


def environment(**changes: str) -> dict[str, str]:
    """Environment of a fresh process: a thread each, and no import path that helps out."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**inherited, "OMP_NUM_THREADS": "1", **changes}


def call(
    command: Sequence[Any],
    stdin: str = "",
    check: bool = True,
    max_file_bytes: int | None = None,
    **changes: str,
) -> Result:
    """Run a program in a fresh process, from another folder."""

    def limit() -> None:
        if max_file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))

    words = [program(command[0]), *map(str, command[1:])]
    done = subprocess.run(
        words,
        input=stdin,
        capture_output=True,
        text=True,
        cwd="/",
        env=environment(**changes),
        timeout=300,
        preexec_fn=limit,  # noqa: PLW1509
    )
    if check and done.returncode != 0:
        pytest.fail(f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return Result(done.returncode, done.stdout, done.stderr)


def call_here(cli_main: Callable[[], Any], command: Sequence[Any]) -> Any:
    """Run a program of fairseq in this process, which saves the start."""
    with patch.object(sys, "argv", [str(word) for word in command]):
        return cli_main()


def train_here(command: Sequence[Any]) -> str:
    """Run a fairseq-train command in this process; returns what it logged."""
    from fairseq.checkpoint_utils import save_checkpoint
    from fairseq_cli.train import cli_main, should_stop_early

    # fairseq keeps the best scores of the process there.
    for function in (save_checkpoint, should_stop_early):
        vars(function).pop("best", None)
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("%(name)s | %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)  # what the program itself sets in a process of its own
    try:
        call_here(cli_main, command)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    return log.getvalue()


def run_workers(command: list[str], processes: int, **settings: str) -> list[int | None]:
    """Exit statuses of a command in so many processes, started as torchrun does.

    They are forks of this process, which has imported everything.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}

    def work(rank: int) -> None:
        if processes > 1:
            os.environ.update(group, RANK=str(rank), LOCAL_RANK=str(rank))
        os.environ.update(settings)
        train_here(command)

    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=work, args=(rank,)) for rank in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    return [worker.exitcode for worker in workers]


def train_command(
    corpus: Corpus, task: str, save_dir: Path, *options: str, data: Path | None = None
) -> list[str]:
    """A literal fairseq-train command; later options replace earlier ones."""
    return [
        "fairseq-train",
        *corpus.task_options(task, data),
        *("--user-dir", str(PLUGIN)),
        *NETWORK.split(),
        *TRAINING.split(),
        *("--distributed-world-size", "1", "--num-workers", "0", "--batch-size", "4"),
        *("--save-dir", str(save_dir)),
        *options,
    ]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint."""
    state: dict[str, Any] = safe_load.load(str(path), map_location="cpu")
    return state


def num_updates(state: dict[str, Any]) -> int:
    """Updates done when a checkpoint was saved."""
    return int(state["optimizer_history"][-1]["num_updates"])


def losses_by_update(save_dir: Path) -> dict[int, float]:
    """Training loss of each update, unrounded, from checkpoints of --save-interval-updates 1."""
    losses = {}
    for path in save_dir.glob("checkpoint*.pt"):
        state = read_checkpoint(path)
        meters = state["extra_state"]["metrics"]["train"]
        value = next(meter["val"] for _, name, _, meter in meters if name == "loss")
        losses[num_updates(state)] = float(value)
    return dict(sorted(losses.items()))


def largest_difference(left: Any, right: Any) -> float:
    """Largest difference between numbers at the same place in two nested structures."""
    if torch.is_tensor(left):
        assert left.shape == right.shape
        return float((left.double() - right.double()).abs().max()) if left.numel() else 0.0
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        return max((largest_difference(left[key], right[key]) for key in left), default=0.0)
    if isinstance(left, list | tuple):
        pairs = zip(left, right, strict=True)
        return max((largest_difference(*pair) for pair in pairs), default=0.0)
    if isinstance(left, bool | str) or left is None:
        assert left == right
        return 0.0
    return abs(left - right)


def jsonl(path: Path) -> list[dict[str, Any]]:
    """Records of a JSON lines file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
