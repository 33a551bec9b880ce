"""PMC-VQA -> questions about figures of articles, with the right choice as the answer.

Source: a folder with train_2.csv and test_2.csv (version 2, pictures in figures/) or train.csv and
test.csv (version 1, pictures in images/); columns Figure_path, Question, Answer and "Choice A" to
"Choice D". An answer that is a letter stands for the text of that choice.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator

from data_utils.converter import Converter
from data_utils.layouts import VQA, Record, vqa
from data_utils.tables import find_file, inside, read_csv

COLUMNS = ("Figure_path", "Question", "Answer")
SPLITS = ("train", "test")
_LETTER = re.compile(r"\s*[A-D]\s*:\s*")


def read(args: argparse.Namespace) -> Iterator[Record]:
    """Questions of both splits."""
    ending = "_2" if args.version == 2 else ""
    images = find_file(args.source, "figures", "images")
    for split in SPLITS:
        for number, row in enumerate(read_csv(args.source / f"{split}{ending}.csv", COLUMNS)):
            texts = row["Question"], answer_text(row)
            yield vqa(f"{split}_{number}", inside(images, row["Figure_path"]), texts, split)


def answer_text(row: dict[str, str]) -> str:
    """The answer without the letter of its choice."""
    answer = row["Answer"].strip()
    if answer in ("A", "B", "C", "D"):
        answer = row.get(f"Choice {answer}", "")
    return _LETTER.sub("", answer, count=1) if _LETTER.match(answer) else answer


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", type=int, choices=(1, 2), default=2, help="of the set")


CONVERTER = Converter("pmc_vqa", __doc__, VQA, read, _add_arguments)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
