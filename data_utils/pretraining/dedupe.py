"""Removes near-duplicates of earlier rows from pretraining files, over all files given.

Rows are alike when their pictures are, by perceptual hash, and their texts, by MinHash; of pairs,
answers must be equal, too. The first of such rows stays. Needs the packages imagehash and
datasketch.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from biomedgpt_fairseq.data.tsv import TsvReader
from data_utils.pretraining.near import PictureMeasure, Rows, TextMeasure, find_near
from data_utils.pretraining.removal import REASON, ROW_FORMS, Facts, write_without
from data_utils.pretraining.sketches import Sketcher, Sketches, sketch_rows
from data_utils.writer import run_program

_TOOL = "data_utils.pretraining.dedupe"


def find_duplicates(made: Sketches, pictures: PictureMeasure, texts: TextMeasure) -> Rows:
    """For each row the earlier row (N,) that it repeats, or -1."""
    has_texts, within = made.texts.shape[1] > 0, made.exact
    if made.pictures.shape[1] == 0:
        return find_near(texts, made.texts, within)
    like = find_near(pictures, made.pictures, np.zeros_like(within) if has_texts else within)
    if not has_texts:
        return like
    # Texts are compared among the rows of one picture.
    first = np.where(like < 0, np.arange(len(like)), like).astype(np.uint64)
    mixed = (first + np.uint64(1)) * np.uint64(0xD6E8FEB86659FD93)
    return find_near(texts, made.texts, within ^ mixed)


def _describe(reader: TsvReader, made: Sketches, row: int, like: int) -> Facts:
    path, number = reader.locate(like)
    facts: dict[str, object] = {}
    if made.pictures.shape[1]:
        facts["distance"] = int(PictureMeasure.distances(made.pictures[row], made.pictures[like]))
    if made.texts.shape[1]:
        facts["similarity"] = float((made.texts[row] == made.texts[like]).mean().round(3))
    reason = " and ".join(
        name for name, key in (("picture", "distance"), ("text", "similarity")) if key in facts
    )
    found = {"file": path, "row": number, "id": reader[like][0]}
    return {REASON: f"like {reason}", **facts, "like": found}


def build_parser() -> argparse.ArgumentParser:
    """Options of the program."""
    parser = argparse.ArgumentParser(prog=_TOOL, description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="pretraining files of one kind")
    parser.add_argument("--rows", choices=ROW_FORMS, required=True, help="what the rows are")
    parser.add_argument("--output", type=Path, required=True, help="folder for what stays")
    parser.add_argument(
        "--image-distance",
        type=int,
        default=15,
        help="bits of 256 in which the hashes of like pictures may differ (default and most: 15)",
    )
    parser.add_argument(
        "--text-similarity",
        type=float,
        default=0.8,
        help="share of runs of three words that like texts have in common (default: 0.8)",
    )
    parser.add_argument("--image-root", type=Path, help="folder, where pictures are paths in it")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    return parser


def run(args: argparse.Namespace) -> None:
    """Write the files. Raises ValueError or FileNotFoundError on bad input."""
    pictures, texts = PictureMeasure(args.image_distance), TextMeasure(args.text_similarity)
    form = ROW_FORMS[args.rows]
    reader = form.open(args.files)
    made = sketch_rows(Sketcher(reader, form, args.image_root), args.workers)
    like = find_duplicates(made, pictures, texts)
    removed = {
        row: _describe(reader, made, row, int(like[row]))
        for row in np.flatnonzero(like >= 0).tolist()
    }
    names = ("rows", "image_distance", "text_similarity")
    options = {name: getattr(args, name) for name in names}
    write_without(reader, removed, args.output, _TOOL, options)


if __name__ == "__main__":
    sys.exit(run_program(run, build_parser()))
