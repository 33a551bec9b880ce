"""Rows with pictures -> rows with codes, in batches and in order."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image
from torch import Tensor, stack
from torch.utils.data import DataLoader, Dataset

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import ImageTransform
from biomedgpt_fairseq.image_tokenizer.pictures import (
    ResizeRule,
    middle_box,
    picture_to_pixels,
    resized,
)
from biomedgpt_fairseq.image_tokenizer.sources import PictureRow, PictureRows
from biomedgpt_fairseq.image_tokenizer.tokenizer import ImageTokenizer

PRETRAINING_COLUMNS = ("id", "image", "codes")


@dataclass(frozen=True)
class ExtractionOptions:
    """How pictures become codes.

    size: side in pixels of what is coded.  pretraining: write rows for image infilling, the picture
    at twice `size` and the codes of its middle.  num_workers: processes that read pictures.
    """

    size: int = 128
    resize: ResizeRule = "both_sides"
    pretraining: bool = False
    batch_size: int = 32
    num_workers: int = 0


def written_columns(rows: PictureRows, options: ExtractionOptions) -> tuple[str, ...]:
    """Columns of the file to write.  Raises ValueError for rows that have too many."""
    if not options.pretraining:
        return rows.columns
    if len(rows.columns) != 2:
        raise ValueError(
            "rows for pretraining hold an id and a picture: choose these two columns, for example "
            "with --selected-cols 0,2"
        )
    return PRETRAINING_COLUMNS


def extract(
    rows: PictureRows, tokenizer: ImageTokenizer, options: ExtractionOptions, start: int = 0
) -> Iterator[list[str] | BadRow]:
    """Rows to write from number `start` on, in order; in place of a row that fails, its error."""
    loader = DataLoader(
        _Prepared(rows, options, start),
        batch_size=None,
        num_workers=options.num_workers,
    )
    pending: list[_Item] = []
    for item in loader:
        full = len(pending) == options.batch_size
        fits = isinstance(item, _Item) and (
            not pending or pending[0].pixels.shape == item.pixels.shape
        )
        if full or not fits:
            yield from _coded(pending, tokenizer)
            pending = []
        if isinstance(item, BadRow):
            yield item
        else:
            pending.append(item)
    yield from _coded(pending, tokenizer)


@dataclass(frozen=True)
class _Item:
    cells: list[str]
    pixels: Tensor


class _Prepared(Dataset[_Item | BadRow]):
    """Cells and pixels of each row."""

    def __init__(self, rows: PictureRows, options: ExtractionOptions, start: int) -> None:
        self._rows, self._options, self._start = rows, options, start

    def __len__(self) -> int:
        return len(self._rows) - self._start

    def __getitem__(self, index: int) -> _Item | BadRow:
        try:
            row = self._rows[self._start + index]
        except BadRow as error:
            return error
        return _prepare(row, self._options)


def _prepare(row: PictureRow, options: ExtractionOptions) -> _Item:
    if not options.pretraining:
        picture = resized(row.picture, options.size, options.resize)
        return _Item(list(row.cells), picture_to_pixels(picture))
    whole = ImageTransform(2 * options.size).resize(row.picture)
    # A cell whose picture has the size already stays as it is, to the byte.
    kept = row.base64 if whole.size == row.picture.size else None
    middle = whole.crop(middle_box(*whole.size))
    return _Item([*row.cells, kept or _png_base64(whole)], picture_to_pixels(middle))


def _coded(items: list[_Item], tokenizer: ImageTokenizer) -> Iterator[list[str]]:
    if not items:
        return
    # Without resizing both sides, a side need not be a multiple of the factor.
    codes = tokenizer.encode(stack([item.pixels for item in items]), partial=True)
    for item, grid in zip(items, codes.flatten(1).tolist(), strict=True):
        yield [*item.cells, " ".join(map(str, grid))]


def _png_base64(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
