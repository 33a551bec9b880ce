"""Start of a task with a closed set of answers: time beyond imports, and memory.

    python -m benchmarks.bench_startup vocab_small --answers 5000

Each repetition is a fresh process, which makes the task twice over: with ten answers and with all.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

KINDS = ("left", "right", "upper", "lower", "large", "small", "old", "acute", "no", "mild")
PLACES = ("lung", "kidney", "liver", "heart", "bone", "brain", "spine", "knee", "pelvis", "chest")
FINDINGS = ("mass", "nodule", "fracture", "effusion", "tumor", "cyst", "edema", "opacity")
WORDS = (*KINDS, *PLACES, *FINDINGS)

MEASURE = """
import json, sys, time
import fairseq
from biomedgpt_fairseq.tasks.vqa_gen import VqaOptions, VqaTask
def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024
found = {}
for name, answers in (("ten", sys.argv[2]), ("all", sys.argv[3])):
    options = dict(bpe_dir=sys.argv[1], ans2label_file=answers, code_dict_size=0, num_bins=0)
    before, start = resident(), time.perf_counter()
    task = VqaTask.setup_task(VqaOptions(**options))
    found[name] = [time.perf_counter() - start, resident() - before]
    del task
print(json.dumps(found))
"""


def make_texts(count: int) -> list[str]:
    """Different answers of one to five words."""
    draw = random.Random(0)
    found: dict[str, None] = {}
    while len(found) < count:
        found[" ".join(draw.choices(WORDS, k=draw.randint(1, 5)))] = None
    return list(found)


def bench_startup(vocabulary: Path, answers: int, repeats: int) -> dict[str, list[float]]:
    """Seconds and MB of the start with ten answers and of that with all, per repetition."""
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / "ten.json", Path(name) / "all.json"]
        for path, count in zip(files, (10, answers), strict=True):
            path.write_text(json.dumps(make_texts(count)), encoding="utf-8")
        for _ in range(repeats):
            command = [sys.executable, "-c", MEASURE, str(vocabulary), *map(str, files)]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            for which, (seconds, memory) in json.loads(run.stdout.splitlines()[-1]).items():
                figures.setdefault(f"{which}: seconds", []).append(seconds)
                figures.setdefault(f"{which}: MB", []).append(memory)
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_startup", description=__doc__)
    parser.add_argument("vocabulary", type=Path, help="folder of a vocabulary")
    parser.add_argument("--answers", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for all figures")
    args = parser.parse_args(arguments)
    figures = bench_startup(args.vocabulary, args.answers, args.repeats)
    for name, values in figures.items():
        print(f"{name:<14} {statistics.median(values):8.3f} [{min(values):.3f}, {max(values):.3f}]")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
