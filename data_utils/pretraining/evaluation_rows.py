"""What evaluation files hold, whatever their columns: pictures and texts to be found elsewhere."""

from __future__ import annotations

import binascii
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import IMAGE_SUFFIXES, ImageSource, load_image
from biomedgpt_fairseq.data.tsv import TsvReader
from data_utils.images import hash_pixels
from data_utils.pretraining.near import PictureMeasure, word_runs, words_of
from data_utils.pretraining.removal import REASON, Facts

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{64,}={0,2}")
_LONGEST_PATH = 255
Place = tuple[str, int]


@dataclass(frozen=True)
class MatchRules:
    """When a picture or a text counts as one of the evaluation.

    distance: bits of 256 in which perceptual hashes may differ. run: words in a row that are
    compared at once; shorter texts are not compared. overlap: share of the runs of the shorter of
    two texts that the longer one has, too.
    """

    distance: int
    run: int
    overlap: float

    def __post_init__(self) -> None:
        if self.run < 1:
            raise ValueError(f"--run must be positive, found {self.run}")
        if not 0 < self.overlap <= 1:
            raise ValueError(f"--overlap must lie above 0 and at most at 1, found {self.overlap}")


class PictureIndex:
    """Pictures of evaluation rows, found again by their pixels or their perceptual hash."""

    def __init__(self, distance: int) -> None:
        self._measure = PictureMeasure(distance)
        self._places: list[Place] = []
        self._by_pixels: dict[str, int] = {}
        self._by_part: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        self._hashes: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._places)

    def add(self, picture: Image.Image, place: Place) -> None:
        """Another picture; one with the same pixels is there already."""
        pixels = hash_pixels(picture)
        if pixels in self._by_pixels:
            return
        number = len(self._places)
        self._by_pixels[pixels] = number
        self._places.append(place)
        self._hashes.append(self._measure.signature(picture))
        for part in enumerate(self._hashes[-1].tolist()):
            self._by_part[part].append(number)

    def find(self, picture: Image.Image) -> Facts | None:
        """Reason and place of a picture that is there."""
        number = self._by_pixels.get(hash_pixels(picture))
        if number is not None:
            return {REASON: "same picture", **_where(self._places[number])}
        found = self._measure.signature(picture)
        # What differs in so few bits as may be has at least one part in common.
        near = {n for part in enumerate(found.tolist()) for n in self._by_part.get(part, ())}
        numbers = sorted(near)
        if not numbers:
            return None
        distances = self._measure.distances(np.array([self._hashes[n] for n in numbers]), found)
        best = int(distances.argmin())
        if distances[best] > self._measure.distance:
            return None
        facts = {REASON: "like picture", "distance": int(distances[best])}
        return {**facts, **_where(self._places[numbers[best]])}


class TextIndex:
    """Texts of evaluation rows, found again by runs of words."""

    # Runs that so many texts have are phrases; further texts go by their other runs.
    _MOST = 64

    def __init__(self, run: int, overlap: float) -> None:
        self.run = run
        self.overlap = overlap
        self._places: list[Place] = []
        self._sizes: list[int] = []
        self._known: set[frozenset[str]] = set()
        self._by_run: defaultdict[str, list[int]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._places)

    def add(self, text: str, place: Place) -> None:
        """Another text; short ones, and those that are there already, change nothing."""
        runs = frozenset(self._runs(text))
        if runs in self._known:
            return
        self._known.add(runs)
        listed = [run for run in runs if len(self._by_run[run]) < self._MOST]
        for run in listed:
            self._by_run[run].append(len(self._places))
        if listed:
            self._places.append(place)
            self._sizes.append(len(listed))

    def find(self, text: str) -> Facts | None:
        """Reason and place of a text that has most of this one, or that this one has most of."""
        runs = self._runs(text)
        counts = Counter(number for run in runs for number in self._by_run.get(run, ()))
        shares = {n: count / min(self._sizes[n], len(runs)) for n, count in counts.items()}
        best = max(sorted(shares), key=shares.__getitem__, default=None)
        if best is None or shares[best] < self.overlap:
            return None
        return {REASON: "text", "overlap": round(shares[best], 3), **_where(self._places[best])}

    def _runs(self, text: str) -> set[str]:
        words = words_of(text)
        return word_runs(words, self.run) if len(words) >= self.run else set()


class Evaluation:
    """All pictures and texts of evaluation files."""

    def __init__(self, rules: MatchRules) -> None:
        self.pictures = PictureIndex(rules.distance)
        self.texts = TextIndex(rules.run, rules.overlap)

    def add_file(self, path: Path, root: Path | None) -> None:
        """The pictures, in base64 or as paths below a folder, and the texts of a file.

        root: that folder; None: where the file is.  Raises BadRow for a picture that cannot be
        read, and for a file whose only pictures are paths that lead nowhere.
        """
        reader = TsvReader(str(path))
        root = root or path.resolve().parent
        lost: BadRow | None = None
        pictures = 0
        for row, cells in enumerate(reader):
            place = reader.locate(row)
            for cell in cells:
                picture = None
                if _looks_like_path(cell) and not (root / cell).is_file():
                    # It may as well be the id of a picture that is in another column.
                    reason = f"no picture {cell} in {root}; where is it? See --eval-image-root"
                    lost = lost or BadRow(reason, *place)
                    continue
                try:
                    picture = _picture_of(cell, root)
                except BadRow as error:
                    raise error.at(*place) from None
                if picture is None:
                    self.texts.add(cell, place)
                else:
                    pictures += 1
                    self.pictures.add(picture, place)
        if lost is not None and pictures == 0:
            raise lost


def _picture_of(cell: str, root: Path) -> Image.Image | None:
    """The picture of a cell; None for texts and numbers."""
    if _looks_like_path(cell):
        return load_image(cell, ImageSource("path", root))
    if not _BASE64.fullmatch(cell):
        return None
    try:
        return load_image(cell, ImageSource("base64"))
    except BadRow:
        if _is_picture_file(cell):
            raise
        return None


def _looks_like_path(cell: str) -> bool:
    return len(cell) < _LONGEST_PATH and Path(cell).suffix.lower() in IMAGE_SUFFIXES


def _is_picture_file(cell: str) -> bool:
    """Whether base64 begins as PNG, JPEG or another common format does: it is a damaged one."""
    head = binascii.a2b_base64(cell[:64].translate(str.maketrans("-_", "+/")))
    return head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*"))


def _where(place: Place) -> Facts:
    return {"evaluation": {"file": place[0], "row": place[1]}}
