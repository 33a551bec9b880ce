"""Start of a task with a closed set of answers: time beyond imports, and memory.

    python -m benchmarks.bench_startup vocab_small --answers 5000

Each repetition is a fresh process, which imports everything, then makes the task.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.ratios import Ratio, show
from biomedgpt_fairseq.text.compact import train_compact_vocabulary

KINDS = ("left", "right", "upper", "lower", "large", "small", "old", "acute", "no", "mild")
PLACES = ("lung", "kidney", "liver", "heart", "bone", "brain", "spine", "knee", "pelvis", "chest")
FINDINGS = ("mass", "nodule", "fracture", "effusion", "tumor", "cyst", "edema", "opacity")
WORDS = (*KINDS, *PLACES, *FINDINGS)

LIMITS = {"seconds": 0.5, "MB": 50.0}

MEASURE = """
import json, sys, time
import fairseq
from biomedgpt_fairseq.tasks.vqa_gen import VqaOptions, VqaTask
def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024
before, start = resident(), time.process_time()
VqaTask.setup_task(VqaOptions(bpe_dir=sys.argv[1], ans2label_file=sys.argv[2], code_dict_size=0))
print(json.dumps({"seconds": time.process_time() - start, "MB": resident() - before}))
"""


def make_texts(count: int) -> list[str]:
    """Different answers of one to five words."""
    draw = random.Random(0)
    found: dict[str, None] = {}
    while len(found) < count:
        found[" ".join(draw.choices(WORDS, k=draw.randint(1, 5)))] = None
    return list(found)


def bench_startup(vocabulary: Path | None, answers: int, repeats: int) -> list[Ratio]:
    """Seconds of the processor and MB that making a task takes, against what they may be.

    Without a vocabulary a small one is made of the answers.
    """
    found: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder, path, texts = Path(name), Path(name, "answers.json"), make_texts(answers)
        if vocabulary is None:
            vocabulary = folder / "vocabulary"
            train_compact_vocabulary(texts, 400, vocabulary)
        path.write_text(json.dumps(texts), encoding="utf-8")
        for _ in range(repeats):
            command = [sys.executable, "-c", MEASURE, str(vocabulary), str(path)]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(json.loads(run.stdout.splitlines()[-1]))
    return [
        Ratio(
            f"start with {answers:,} answers, {unit}; limit",
            [figures[unit] for figures in found],
            [limit] * repeats,
            1.0,
        )
        for unit, limit in LIMITS.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_startup", description=__doc__)
    parser.add_argument("vocabulary", type=Path, nargs="?", help="folder of a vocabulary")
    parser.add_argument("--answers", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for all figures")
    args = parser.parse_args(arguments)
    show(bench_startup(args.vocabulary, args.answers, args.repeats), args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
