"""Memory and open files of a long training run, and of many predictions.

    python -m tests.soak.leaks --steps 3000 --predictions 3000 --output runs/leaks

Pretraining on all four kinds of rows, with a reading process, validation and checkpoints; then
`biomedgpt predict`, again and again in one process, by scores of all candidates and by search.
Both are sampled along the way, reading processes included. The exit status is 1 if, after a fifth
of the way, resident memory ever exceeds its first value by more than the limit, or if there are
more open files than then.  In the first fifth caches fill: oneDNN keeps up to 1,024 products that
it has prepared, one for each shape of a batch.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from fairseq.trainer import Trainer

from biomedgpt_fairseq.cli.main import main as biomedgpt
from tests.soak.killed_training import FORK, make_data, train

SAMPLES = 20
WARM_UP = 0.2  # share of the way
UNDER_WAY = 6  # pieces of shared memory: three batches that both ends may hold or not
ROWS = 30  # of a call of `biomedgpt predict`
ANSWERS = ("yes", "no", "left", "right", "a mass", "none")


@dataclass(frozen=True)
class Sample:
    """What a process and its children hold after so many steps.

    memory: MB, shared pages counted once a process.  files: open ones, without those of shared:
    pieces of shared memory, in which batches travel from the reading processes.
    """

    done: int
    memory: float
    files: int
    shared: int


def take_sample(done: int) -> Sample:
    """A sample of this process and its children."""
    processes = [Path("/proc/self")]
    for thread in Path("/proc/self/task").iterdir():
        children = (thread / "children").read_text("ascii").split()
        processes += [Path("/proc") / child for child in children]
    pages = [int((process / "statm").read_text("ascii").split()[1]) for process in processes]
    targets = [target for process in processes for target in _open_files(process)]
    shared = sum(target.startswith("/dev/shm/") for target in targets)
    memory = sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return Sample(done, memory, len(targets) - shared, shared)


def _open_files(process: Path) -> Iterator[str]:
    for name in os.listdir(process / "fd"):
        # One of them may be closed by now: that of this listing always is.
        with suppress(FileNotFoundError):
            yield os.readlink(process / "fd" / name)


class Recorder:
    """Appends samples to a file, after the first step and SAMPLES times on the way to a total."""

    def __init__(self, path: Path, total: int) -> None:
        self._path, self._every, self._next = path, max(1, total // SAMPLES), 1

    def reached(self, done: int) -> None:
        """Take a sample if one is due."""
        if done < self._next:
            return
        self._next = (done // self._every + 1) * self._every
        line = json.dumps(asdict(take_sample(done))) + "\n"
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)


def train_and_record(folder: Path, steps: int) -> None:
    """Train with samples of the way in train.jsonl."""
    recorder, stock = Recorder(folder / "train.jsonl", steps), Trainer.train_step

    def train_step(self: Any, samples: Any, raise_oom: bool = False) -> Any:
        log = stock(self, samples, raise_oom)
        recorder.reached(self.get_num_updates())
        return log

    Trainer.train_step = train_step
    every = str(max(20, steps // 30))
    options = ["--save-interval-updates", every, "--validate-interval-updates", every]
    options += ["--batch-size", "2", "--sample-patch-num", "2"]
    train(folder / "data", folder, steps, *options)


def predict_and_record(folder: Path, predictions: int) -> None:
    """Predict rows by calls of the command, with samples of the way in predict.jsonl."""
    recorder, done = Recorder(folder / "predict.jsonl", predictions), 0
    words = ["predict", "--path", str(folder / "checkpoints" / "checkpoint_last.pt"), "--cpu"]
    words += ["--task", "vqa_gen", "--input", str(folder / "questions" / "test.tsv")]
    words += ["--selected-cols", "0,5,2,3,4", "--eval-args", '{"beam": 3, "max_len_b": 8}']
    answers = json.dumps({answer: number for number, answer in enumerate(ANSWERS)})
    words += ["--model-overrides", json.dumps({"ans2label_dict": answers})]
    with (folder / "answers.jsonl").open("w", encoding="utf-8") as out, redirect_stdout(out):
        while done < predictions:
            search = ["--beam-search-vqa-eval"] if done // ROWS % 2 else []
            if biomedgpt([*words, *search]) != 0:
                raise RuntimeError("biomedgpt predict failed")
            done += ROWS
            recorder.reached(done)


def run_apart(
    work: Callable[[Path, int], None], folder: Path, count: int, name: str
) -> list[Sample]:
    """Samples of work in a process of its own.  Raises RuntimeError if it fails."""
    process = FORK.Process(target=work, args=(folder, count))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"{name} failed with status {process.exitcode}; see {folder}")
    lines = (folder / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [Sample(**json.loads(line)) for line in lines]


def faults(
    name: str, samples: Sequence[Sample], limit: float, warm_up: float = WARM_UP
) -> list[str]:
    """What grew, in words.  limit: share of memory that may be added after the warm-up."""
    first, *rest = [one for one in samples if one.done >= warm_up * samples[-1].done]
    found = []
    memory = max((one.memory for one in rest), default=first.memory)
    if memory > first.memory * (1 + limit):
        found.append(f"{name}: memory grew from {first.memory:.0f} to {memory:.0f} MB")
    for what, margin in (("files", 0), ("shared", UNDER_WAY)):
        before = getattr(first, what)
        most = max((getattr(one, what) for one in rest), default=before)
        if most > before + margin:
            found.append(f"{name}: open {what} grew from {before} to {most}")
    return found


def run_leak_test(folder: Path, steps: int, predictions: int) -> dict[str, list[Sample]]:
    """Samples of training and of predictions."""
    torch.set_num_threads(1)
    make_data(folder / "data")
    rows = ["--train", "0", "--valid", "0", "--test", str(ROWS), "--size", "32"]
    words = ["phantoms", "--task", "vqa", "--output", str(folder / "questions"), *rows]
    if biomedgpt(words) != 0:
        raise RuntimeError("no phantoms")
    return {
        "train": run_apart(train_and_record, folder, steps, "train"),
        "predict": run_apart(predict_and_record, folder, predictions, "predict"),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--output", type=Path, required=True, help="a folder that is not there yet")
    parser.add_argument("--steps", type=int, default=3000, help="of training")
    parser.add_argument("--predictions", type=int, default=3000)
    parser.add_argument("--limit", type=float, default=0.03, help="share that memory may grow by")
    args = parser.parse_args(arguments)
    args.output.mkdir(parents=True)
    runs = run_leak_test(args.output, args.steps, args.predictions)
    print(f"{'':8} {'done':>6} {'memory, MB':>11} {'open files':>11} {'shared':>7}")
    for name, samples in runs.items():
        for one in samples:
            print(f"{name:8} {one.done:6} {one.memory:11.1f} {one.files:11} {one.shared:7}")
    found = [text for name, samples in runs.items() for text in faults(name, samples, args.limit)]
    print("\n".join(found or ["nothing grew"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
