"""Main pretraining files -> the folder of wrong answers and captions, for --neg-sample-dir.

Answers are sorted by the beginning of their questions (what is, how many, ...); those to questions
that begin otherwise, and all others once more, are of type other. Objects are those of the objects
column, the names of regions, or else the answers.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from biomedgpt_fairseq.data.answers import training_answer
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.data.tsv_writer import write_json, write_text
from data_utils.writer import run_program

logger = logging.getLogger(__name__)

OTHER, YES_NO = "other", "yes or no"
_BEGINNING = re.compile(
    r"(?:how many|what (?:is|are|type|kind|color|organ)|where|which|when|who)\b"
)
_COLUMNS = "2,3,4,5,7"


class Pools:
    """Different answers by type, objects and captions, in order of appearance."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, None]] = {OTHER: {}}
        self.objects: dict[str, None] = {}
        self.captions: dict[str, None] = {}

    def add(self, row: list[str]) -> None:
        """A row of caption, question, references, objects and type."""
        caption, question, references, objects, kind = row
        if kind == "qa":
            answer = training_answer(references)
            for name in (answer_type(question, answer), OTHER):
                self.answers.setdefault(name, {})[answer] = None
        elif kind == "caption":
            self.captions[caption] = None
        else:
            self.objects[caption] = None
        self.objects.update(dict.fromkeys(name for name in objects.split("&&") if name))


def answer_type(question: str, answer: str) -> str:
    """Type of a question's answers; answers of one type can be taken for each other."""
    if answer.lower() in ("yes", "no"):
        return YES_NO
    found = _BEGINNING.match(question.lower())
    return found.group(0) if found else OTHER


def write_pools(pools: Pools, folder: Path) -> None:
    """The three files.  Raises ValueError when the rows had neither answers nor captions."""
    answers, captions = pools.answers[OTHER], pools.captions
    if not answers and not captions:
        raise ValueError("the files hold no questions and no captions to take wrong ones from")
    folder.mkdir(parents=True, exist_ok=True)
    # Files may not be empty; what no row asks for may be anything.
    answers, captions = answers or {"none": None}, captions or answers
    types = {**pools.answers, OTHER: answers}
    write_json(folder / "type2ans.json", {name: list(pool) for name, pool in types.items()})
    _write_lines(folder / "object.txt", pools.objects or answers)
    _write_lines(folder / "all_captions.txt", captions)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    write_text(path, "".join(f"{line}\n" for line in lines))


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="data_utils.pretraining.negatives", description=__doc__)
    parser.add_argument("files", nargs="+", help="main training files of eight columns")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    return parser


def _run(args: argparse.Namespace) -> None:
    pools = Pools()
    for row in tqdm(TsvReader(args.files, _COLUMNS), unit="row", disable=None):
        pools.add(row)
    write_pools(pools, args.output)
    counts = {name: len(pool) for name, pool in pools.answers.items()}
    logger.info(
        "answers: %s; %d objects, %d captions", counts, len(pools.objects), len(pools.captions)
    )


if __name__ == "__main__":
    sys.exit(run_program(_run, _build_parser()))
