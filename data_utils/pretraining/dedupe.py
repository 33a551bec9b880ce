"""Removes near-duplicates of earlier rows from pretraining files, over all files given.

Rows are alike when their pictures are, by perceptual hash, and their texts, by MinHash; of pairs,
answers must be equal, too. The first of such rows stays. Needs the packages imagehash and
datasketch.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import ImageSource, load_image
from biomedgpt_fairseq.data.tsv import TsvReader
from data_utils.pretraining.near import (
    PictureMeasure,
    Rows,
    Signatures,
    TextMeasure,
    find_near,
    words_of,
)
from data_utils.pretraining.removal import REASON, ROW_FORMS, Facts, RowForm, write_without
from data_utils.writer import run_program

_TOOL = "data_utils.pretraining.dedupe"
_STRETCH = 256


class _Sketches(NamedTuple):
    """Of some rows: signatures of pictures and of texts, and hashes of what must be equal."""

    pictures: Signatures
    texts: Signatures
    exact: Signatures


class Sketcher:
    """Signatures of stretches of rows, in whichever process."""

    def __init__(self, reader: TsvReader, form: RowForm, root: Path | None) -> None:
        self.reader = reader
        self.form = form
        self.source = ImageSource("path" if root else "base64", root)
        self.pictures, self.texts = PictureMeasure(0), TextMeasure(1)

    def __call__(self, start: int) -> _Sketches:
        rows = range(start, min(start + _STRETCH, len(self.reader)))
        made = _empty(len(rows), self.form)
        for place, row in enumerate(rows):
            cells = self.reader[row]
            if self.form.image is not None:
                made.pictures[place] = self._picture(row, cells[self.form.image])
            if self.form.texts:
                text = " ".join(cells[column] for column in self.form.texts)
                made.texts[place] = self.texts.signature(text)
            exact = "\t".join(" ".join(words_of(cells[column])) for column in self.form.exact)
            digest = hashlib.sha256(exact.encode()).digest()
            made.exact[place] = int.from_bytes(digest[:8]) if exact else 0
        return made

    def _picture(self, row: int, cell: str) -> Signatures:
        try:
            return self.pictures.signature(load_image(cell, self.source))
        except BadRow as error:
            raise error.at(*self.reader.locate(row)) from None


def sketch_rows(sketcher: Sketcher, workers: int) -> _Sketches:
    """Signatures of all rows, made by so many processes."""
    made = _empty(len(sketcher.reader), sketcher.form)
    starts = range(0, len(sketcher.reader), _STRETCH)
    for start, part in zip(starts, _in_turn(sketcher, starts, workers), strict=True):
        for whole, piece in zip(made, part, strict=True):
            whole[start : start + _STRETCH] = piece
    return made


def _in_turn(sketcher: Sketcher, starts: range, workers: int) -> Iterator[_Sketches]:
    bar = functools.partial(tqdm, total=len(starts), unit_scale=_STRETCH, unit="row", disable=None)
    if workers == 1:
        yield from bar(map(sketcher, starts))
        return
    with multiprocessing.Pool(workers) as pool:
        yield from bar(pool.imap(sketcher, starts))


def _empty(rows: int, form: RowForm) -> _Sketches:
    """Room for signatures; none for those that the form does not have."""
    return _Sketches(
        np.zeros((rows, 0 if form.image is None else PictureMeasure.width), PictureMeasure.dtype),
        np.zeros((rows, TextMeasure.width if form.texts else 0), TextMeasure.dtype),
        np.zeros(rows, np.uint64),
    )


def find_duplicates(made: _Sketches, pictures: PictureMeasure, texts: TextMeasure) -> Rows:
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


def _describe(reader: TsvReader, made: _Sketches, row: int, like: int) -> Facts:
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
