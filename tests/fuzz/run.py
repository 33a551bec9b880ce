"""Fuzzing of all parsers of outside data.

    python -m tests.fuzz.run --cases 1000000 --seed 0

Inputs that fail go to tests/fuzz/corpus/TARGET/, from where the test suite replays them.  Each
target runs in a process of its own with limited memory; one that dies is a failure, too.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import re
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from tests.fuzz.harness import Target, keep, plan, run_case
from tests.fuzz.targets import TARGETS

MORE_MEMORY = 1 << 30
"""Bytes of address space that a target may take beyond those of the program."""
STILL_S = 120
"""Seconds without the end of a case after which its process is ended."""
MAX_FAILURES = 500
"""Failures of a target after which it is left."""
FORK = multiprocessing.get_context("fork")


@dataclass
class Result:
    """What became of a target's cases."""

    cases: int = 0
    taken: int = 0
    seconds: float = 0.0
    failures: int = 0
    places: dict[str, str] = field(default_factory=dict)


def work(target: Target, seed: int, numbers: range, done: Any, channel: Any) -> None:
    """Run cases in this process; `done` counts them, the channel gets failures and the end."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MORE_MEMORY, used + MORE_MEMORY))
    started, taken = time.process_time(), 0
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        parse = target.open(Path(folder))
        for number in numbers:
            was_taken, failure = run_case(target, parse, target.case(seed, number))
            taken += was_taken
            if failure:
                channel.send((number, failure))
            done.value += 1
    channel.send((taken, time.process_time() - started))


def fuzz(target: Target, seed: int, cases: int, bar: tqdm) -> Result:  # type: ignore[type-arg]
    """Run a target's cases, in another process if one dies."""
    result = Result()
    while result.cases < cases and result.failures < MAX_FAILURES:
        receiver, sender = FORK.Pipe(duplex=False)
        done = FORK.RawValue("q", 0)
        numbers = range(result.cases, cases)
        worker = FORK.Process(target=work, args=(target, seed, numbers, done, sender))
        worker.start()
        sender.close()
        _follow(worker, done, receiver, target, seed, result, bar)
        if worker.exitcode != 0 and result.cases < cases:
            _fail(result, target, seed, result.cases, f"the process ended: {worker.exitcode}")
            result.cases += 1
            bar.update()
    return result


def _follow(
    worker: Any, done: Any, receiver: Any, target: Target, seed: int, result: Result, bar: Any
) -> None:
    shown, moved = 0, time.monotonic()
    open_ = True
    while open_:
        try:
            while receiver.poll(0.2):
                first, second = receiver.recv()
                if isinstance(second, str):
                    _fail(result, target, seed, first, second)
                else:
                    result.taken += first
                    result.seconds += second
        except EOFError:
            open_ = False
        now = done.value
        if now > shown:
            bar.update(now - shown)
            result.cases += now - shown
            shown, moved = now, time.monotonic()
        if time.monotonic() - moved > STILL_S or result.failures >= MAX_FAILURES:
            worker.kill()
    worker.join()


def _fail(result: Result, target: Target, seed: int, number: int, failure: str) -> None:
    """Note a failure; of those that end in the same line of code, the first is kept."""
    first = failure.split("\n\n")[0]  # the cause, if there is one
    place = "".join(re.findall(r'File ".*", line \d+', first)[-1:]) + first.split("\n")[-1][:30]
    if place not in result.places:
        path = keep(target, target.case(seed, number))
        result.places[place] = f"{path}\n{failure}"
    result.failures += 1


def table(results: dict[str, Result]) -> str:
    """Cases, CPU seconds and failures by target."""
    head = f"{'target':<28}{'cases':>10}{'taken':>10}{'refused':>10}{'seconds':>9}"
    lines = [f"{head}{'cases/s':>10}{'failures':>9}"]
    total = Result()
    for result in results.values():
        total.cases += result.cases
        total.taken += result.taken
        total.seconds += result.seconds
        total.failures += result.failures
    for name, result in [*results.items(), ("all", total)]:
        refused = result.cases - result.taken - result.failures
        speed = result.cases / result.seconds if result.seconds else 0
        lines.append(
            f"{name:<28}{result.cases:>10,}{result.taken:>10,}{refused:>10,}"
            f"{result.seconds:>9.1f}{speed:>10,.0f}{result.failures:>9}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program: 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cases", type=int, default=1_000_000, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", nargs="*", metavar="NAME", help=", ".join(TARGETS))
    args = parser.parse_args(arguments)
    chosen = [t for t in TARGETS.values() if not args.targets or t.name in args.targets]
    counts = plan(chosen, args.cases)
    results: dict[str, Result] = {}
    with tqdm(total=sum(counts.values()), mininterval=2, smoothing=0.05) as bar:
        for target in chosen:
            bar.set_description(f"{target.name:<24}")
            results[target.name] = fuzz(target, args.seed, counts[target.name], bar)
    for result in results.values():
        print(*result.places.values(), sep="\n", end="")
    print(table(results))
    return int(any(result.failures for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
