"""Infilling of pictures: files -> codes of the middle, pixels by the image tokenizer, report."""

import itertools
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from PIL import Image

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import IMAGE_SUFFIXES, ImageSource, ImageTransform, load_image
from biomedgpt_fairseq.data.infill_rows import check_side, parse_codes
from biomedgpt_fairseq.data.pretrain_parts import CODE_STRIDE, PretrainOptions
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.fairseq_infill import Infiller
from biomedgpt_fairseq.image_tokenizer.pictures import picture_to_pixels, pixels_to_picture
from biomedgpt_fairseq.image_tokenizer.tokenizer import ImageTokenizer
from biomedgpt_fairseq.report.infilling import FilledPicture, code_measures, render_fillings

logger = logging.getLogger(__name__)

SHOWN = 48  # pictures in the report
_BASELINE_ROWS = 10_000
_NO_TOKENIZER = "without --image-tokenizer there are only codes, no pixels"


@dataclass(frozen=True)
class PictureRow:
    """An RGB picture of the size of training, and the codes of its middle where they are known."""

    row_id: str
    picture: Image.Image
    codes: Optional[list[int]] = None


def read_pictures(
    path: Path, columns: Optional[str], options: PretrainOptions, num_codes: int
) -> Iterator[PictureRow]:
    """Pictures of a file, a folder, or a .tsv of id, picture and, if known, codes.

    A picture without codes is stretched to the size of training.
    Raises BadRow for what is no picture, FileNotFoundError for a path where there is none.
    """
    resize = ImageTransform(options.side).resize
    if path.suffix.lower() == ".tsv":
        yield from _tsv_pictures(path, columns, options, num_codes)
        return
    if not path.exists():
        raise FileNotFoundError(f"--image {path}: no such file or folder")
    found = sorted(path.iterdir()) if path.is_dir() else [path]
    files = [file for file in found if file.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        known = ", ".join(sorted(IMAGE_SUFFIXES))
        raise ValueError(f"--image {path}: expected pictures ({known}), or rows in a .tsv")
    for file in files:
        source = ImageSource("path", file.resolve().parent)
        yield PictureRow(file.name, resize(load_image(file.name, source)))


def _tsv_pictures(
    path: Path, columns: Optional[str], options: PretrainOptions, num_codes: int
) -> Iterator[PictureRow]:
    reader = TsvReader(str(path), columns)
    source = ImageSource(root=path.resolve().parent)
    for number in range(len(reader)):
        row = reader[number]
        try:
            if len(row) not in (2, 3):
                raise BadRow(
                    f"expected 2 or 3 columns (id, image, codes), found {len(row)}; choose with "
                    "--selected-cols"
                )
            picture = load_image(row[1], source)
            if len(row) == 2:
                yield PictureRow(row[0], ImageTransform(options.side).resize(picture))
                continue
            check_side(picture, options.side)
            codes = parse_codes(row[2], options.num_codes_per_image, num_codes)
        except BadRow as error:
            raise error.at(*reader.locate(number)) from None
        yield PictureRow(row[0], picture, codes)


@dataclass
class PictureInfilling:
    """Fills pictures and keeps what the report shows.

    tokenizer: makes pixels of codes and, where a row has none, the true codes of its middle.
    """

    infiller: Infiller
    tokenizer: Optional[ImageTokenizer] = None
    filled: list[FilledPicture] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.tokenizer is None:
            return
        num_codes, factor = self.tokenizer.num_codes, self.tokenizer.factor
        if num_codes > self.infiller.vocab.num_codes or factor != CODE_STRIDE:
            raise ValueError(
                f"--image-tokenizer has {num_codes} codes for {factor} pixels each; the checkpoint "
                f"was trained with {self.infiller.vocab.num_codes} codes for {CODE_STRIDE} pixels: "
                "give the tokenizer that made its data"
            )

    @property
    def num_codes(self) -> int:
        """Codes that can be: those of the tokenizer, or of the vocabulary."""
        return (self.tokenizer or self.infiller.vocab).num_codes

    def fill(self, rows: Iterable[PictureRow]) -> Iterator[dict[str, Any]]:
        """A record {"id", "codes", "score", "candidates"} per picture, in order, and
        "code_accuracy" where the true codes are known.
        """
        rows, again = itertools.tee(rows)
        pictures = ((row.row_id, row.picture) for row in again)
        found = self.infiller.fill_pictures(pictures, self.num_codes)
        for row, candidates in zip(rows, found, strict=True):
            best, score = candidates[0]
            known = row.codes or self._encoded(row)
            shown = len(self.filled) < SHOWN
            one = FilledPicture(
                row.row_id, best, score, known, self._views(row, best, known) if shown else {}
            )
            self.filled.append(one)
            record = {"id": row.row_id, "codes": _cell(best), "score": score}
            if one.accuracy is not None:
                record["code_accuracy"] = one.accuracy
            more = [{"codes": _cell(codes), "score": value} for codes, value in candidates]
            yield {**record, "candidates": more}

    def write(self, folder: Path, title: str) -> None:
        """report.html with the first pictures, and summary.json on all."""
        folder.mkdir(parents=True, exist_ok=True)
        notes = [] if self.tokenizer else [_NO_TOKENIZER]
        training = self._training_codes()
        if training is None:
            notes.append("the rows of training are not there: no baselines; see image_data")
        measures = code_measures(self.filled, training, self.infiller.request.load.seed)
        summary = {
            "pictures": len(self.filled),
            "metrics": {measure.name: measure.as_dict() for measure in measures},
            "notes": notes,
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
        page = render_fillings(title, self.filled, measures, notes)
        (folder / "report.html").write_text(page, "utf-8")
        for measure in measures:
            logger.info("%s: %.4f in %d pictures", measure.name, measure.value, measure.count)
        logger.info("%s: written", folder / "report.html")

    def _views(
        self, row: PictureRow, best: Sequence[int], known: Optional[Sequence[int]]
    ) -> dict[str, Image.Image]:
        """Pictures by title."""
        grey = tuple(round(255 * part) for part in self.infiller.task.image_mean)
        quarter = row.picture.width // 4
        middle = (quarter, quarter)
        size = (row.picture.width - 2 * quarter,) * 2
        views = {
            "original": row.picture,
            "masked": _with_middle(row.picture, Image.new("RGB", size, grey), middle),
        }
        for title, codes in (("filled", best), ("from the true codes", known)):
            if self.tokenizer is not None and codes is not None:
                views[title] = _with_middle(row.picture, self._decoded(codes), middle)
        return views

    def _encoded(self, row: PictureRow) -> Optional[list[int]]:
        """The true codes of the middle, where there is a tokenizer to ask."""
        if self.tokenizer is None:
            return None
        quarter = row.picture.width // 4
        end = row.picture.width - quarter
        middle = row.picture.crop((quarter, quarter, end, end))
        codes: list[int] = self.tokenizer.encode(picture_to_pixels(middle)[None]).flatten().tolist()
        return codes

    def _decoded(self, codes: Sequence[int]) -> Image.Image:
        assert self.tokenizer is not None
        side = round(len(codes) ** 0.5)
        grid = torch.tensor(codes).view(1, side, side)
        return pixels_to_picture(self.tokenizer.decode(grid)[0])

    def _training_codes(self) -> Optional[np.ndarray]:
        """Codes (N, n) of the rows that the checkpoint was trained with, at most 10,000 rows."""
        cfg, options = self.infiller.task.cfg, self.infiller.options
        paths = [path.strip() for path in (cfg.image_data or "").split(",") if path.strip()]
        if not paths or not all(Path(path).is_file() for path in paths):
            return None
        reader = TsvReader(paths, cfg.image_selected_cols)
        count, num_codes = options.num_codes_per_image, self.infiller.vocab.num_codes
        cells = zip(range(_BASELINE_ROWS), reader.column(2), strict=False)
        return np.array([parse_codes(cell, count, num_codes) for _, cell in cells])


def _with_middle(picture: Image.Image, middle: Image.Image, place: tuple[int, int]) -> Image.Image:
    changed = picture.copy()
    changed.paste(middle, place)
    return changed


def _cell(codes: Sequence[int]) -> str:
    """Codes as a column of a TSV file holds them."""
    return " ".join(map(str, codes))
