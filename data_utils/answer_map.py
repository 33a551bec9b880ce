"""Closed answer sets as JSON, from a column of training files or from an old pickle.

A pickle is read without running anything: only plain dicts, lists, strings and numbers pass.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from biomedgpt_fairseq.data.answers import training_answer
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.data.tsv_writer import write_json
from data_utils.plain_pickle import load_plain_pickle
from data_utils.writer import run_program

logger = logging.getLogger(__name__)

CellKind = Literal["reference", "plain"]
AnswerMap = dict[str, int | str]


def read_pickle(path: Path) -> AnswerMap:
    """The dict of a pickle, answer -> index; ValueError when it holds anything else."""
    found = load_plain_pickle(path)
    if not isinstance(found, dict) or not found:
        raise ValueError(f"{path}: expected a dict of answers, found {type(found).__name__}")
    for answer, index in found.items():
        if type(answer) is not str or type(index) not in (int, str):
            raise ValueError(f"{path}: expected text -> number, found {answer!r} -> {index!r}")
    return found


def collect_answers(
    paths: Sequence[Path], column: int, kind: CellKind, min_count: int = 1
) -> AnswerMap:
    """Answers of a column, numbered in order of appearance.

    kind: "reference" for `confidence|!+answer` cells, of which the best answer is taken; "plain"
    for cells that are the answer.
    """
    reader = TsvReader([str(path) for path in paths], str(column))
    counts: Counter[str] = Counter()
    for number, cell in enumerate(reader.column(0)):
        try:
            counts[training_answer(cell) if kind == "reference" else cell] += 1
        except ValueError as error:
            path, row = reader.locate(number)
            raise ValueError(f"{path}:{row}: {error}") from error
    kept = [answer for answer, count in counts.items() if count >= min_count and answer]
    if not kept:
        raise ValueError(f"column {column} has no answer that occurs {min_count} times")
    logger.info("%d answers in %d rows; %d kept", len(counts), len(reader), len(kept))
    return {answer: index for index, answer in enumerate(kept)}


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="data_utils.answer_map", description=__doc__)
    sources = parser.add_subparsers(dest="source", required=True, metavar="SOURCE")
    table = sources.add_parser("tsv", help="answers of training files, never of test files")
    table.add_argument("files", type=Path, nargs="+", help="training (and validation) TSV files")
    table.add_argument("--column", type=int, required=True, help="column of the answers, from 0")
    table.add_argument(
        "--kind", choices=("reference", "plain"), default="reference", help="form of its cells"
    )
    table.add_argument("--min-count", type=int, default=1, help="leave out rarer answers")
    old = sources.add_parser("pickle", help="an old ans2label or class2label pickle")
    old.add_argument("file", type=Path, help="pickle of a plain dict")
    for sub in (table, old):
        sub.add_argument("--output", type=Path, required=True, help="JSON file to write")
    return parser


def _run(args: argparse.Namespace) -> None:
    if args.source == "tsv":
        answers = collect_answers(args.files, args.column, args.kind, args.min_count)
    else:
        answers = read_pickle(args.file)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.output, answers)
    logger.info("%s: %d answers", args.output, len(answers))


if __name__ == "__main__":
    sys.exit(run_program(_run, _build_parser()))
