"""Removes rows from pretraining files whose picture or text is in an evaluation file.

Evaluation files may have any columns: every picture and every text that is long enough counts.
Pictures are the same by their pixels, or alike by perceptual hash, which needs the package
imagehash; texts share runs of words. Files of pretraining do not depend on each other, so each may
be a job of its own.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import ImageSource, load_image
from biomedgpt_fairseq.data.tsv import TsvReader
from data_utils.pretraining.evaluation_rows import Evaluation, MatchRules
from data_utils.pretraining.removal import ROW_FORMS, Facts, RowForm, write_without
from data_utils.writer import run_program

logger = logging.getLogger(__name__)

_TOOL = "data_utils.pretraining.decontaminate"


def find_leaks(
    reader: TsvReader, form: RowForm, evaluation: Evaluation, source: ImageSource
) -> dict[int, Facts]:
    """Rows of the reader that are in the evaluation, each with the reason."""
    found = {}
    for row, cells in enumerate(tqdm(reader, total=len(reader), unit="row", disable=None)):
        try:
            facts = _match(cells, form, evaluation, source)
        except BadRow as error:
            raise error.at(*reader.locate(row)) from None
        if facts is not None:
            found[row] = facts
    return found


def _match(
    cells: Sequence[str], form: RowForm, evaluation: Evaluation, source: ImageSource
) -> Facts | None:
    if form.image is not None and len(evaluation.pictures):
        facts = evaluation.pictures.find(load_image(cells[form.image], source))
        if facts is not None:
            return facts
    found = (evaluation.texts.find(cells[column]) for column in form.texts)
    return next((facts for facts in found if facts is not None), None)


def build_parser() -> argparse.ArgumentParser:
    """Options of the program."""
    parser = argparse.ArgumentParser(prog=_TOOL, description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="pretraining files of one kind")
    parser.add_argument("--rows", choices=ROW_FORMS, required=True, help="what the rows are")
    parser.add_argument("--against", nargs="+", type=Path, required=True, help="evaluation files")
    parser.add_argument("--output", type=Path, required=True, help="folder for what stays")
    parser.add_argument(
        "--image-distance",
        type=int,
        default=15,
        help="bits of 256 in which the hashes of like pictures may differ (default and most: 15)",
    )
    parser.add_argument(
        "--run",
        type=int,
        default=8,
        help="words in a row that are compared at once; shorter texts are not (default: 8)",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        default=0.7,
        help="share of the shorter text's runs that the longer one has, too (default: 0.7)",
    )
    parser.add_argument("--image-root", type=Path, help="folder, where pictures are paths in it")
    parser.add_argument(
        "--eval-image-root",
        type=Path,
        help="folder of pictures that evaluation files name by paths (default: that of the file)",
    )
    return parser


def run(args: argparse.Namespace) -> None:
    """Write the files. Raises ValueError or FileNotFoundError on bad input."""
    rules = MatchRules(args.image_distance, args.run, args.overlap)
    form = ROW_FORMS[args.rows]
    reader = form.open(args.files)
    evaluation = Evaluation(rules)
    for path in args.against:
        evaluation.add_file(path, args.eval_image_root)
    counts = {"pictures": len(evaluation.pictures), "texts": len(evaluation.texts)}
    logger.info("evaluation: %(pictures)d pictures and %(texts)d texts", counts)
    if not (form.image is not None and counts["pictures"] or form.texts and counts["texts"]):
        raise ValueError(
            f"the evaluation files hold {counts['pictures']} pictures and {counts['texts']} texts "
            f"of {args.run} words or more: nothing that rows of {args.rows} could share; "
            "choose other files or a smaller --run"
        )
    source = ImageSource("path" if args.image_root else "base64", args.image_root)
    leaks = find_leaks(reader, form, evaluation, source)
    names = ("rows", "image_distance", "run", "overlap")
    options = {name: getattr(args, name) for name in names}
    options |= {"against": [str(path) for path in args.against], "evaluation": counts}
    write_without(reader, leaks, args.output, _TOOL, options)


if __name__ == "__main__":
    sys.exit(run_program(run, build_parser()))
