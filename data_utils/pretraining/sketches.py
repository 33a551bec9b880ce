"""Signatures of all rows of pretraining files, made by several processes."""

from __future__ import annotations

import functools
import hashlib
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import ImageSource, load_image
from biomedgpt_fairseq.data.tsv import TsvReader
from data_utils.pretraining.near import PictureMeasure, Signatures, TextMeasure, words_of
from data_utils.pretraining.removal import RowForm

_STRETCH = 256


class Sketches(NamedTuple):
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

    def __call__(self, start: int) -> Sketches:
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


def sketch_rows(sketcher: Sketcher, workers: int) -> Sketches:
    """Signatures of all rows, made by so many processes."""
    made = _empty(len(sketcher.reader), sketcher.form)
    starts = range(0, len(sketcher.reader), _STRETCH)
    for start, part in zip(starts, _in_turn(sketcher, starts, workers), strict=True):
        for whole, piece in zip(made, part, strict=True):
            whole[start : start + _STRETCH] = piece
    return made


def _in_turn(sketcher: Sketcher, starts: range, workers: int) -> Iterator[Sketches]:
    bar = functools.partial(tqdm, total=len(starts), unit_scale=_STRETCH, unit="row", disable=None)
    if workers == 1:
        yield from bar(map(sketcher, starts))
        return
    with multiprocessing.Pool(workers) as pool:
        yield from bar(pool.imap(sketcher, starts))


def _empty(rows: int, form: RowForm) -> Sketches:
    """Room for signatures; none for those that the form does not have."""
    return Sketches(
        np.zeros((rows, 0 if form.image is None else PictureMeasure.width), PictureMeasure.dtype),
        np.zeros((rows, TextMeasure.width if form.texts else 0), TextMeasure.dtype),
        np.zeros(rows, np.uint64),
    )
