"""Rows with pictures: those of TSV files or the files of a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import IMAGE_SUFFIXES, ImageSource, common_folder, load_image
from biomedgpt_fairseq.data.tsv import TsvReader

COLUMNS = {
    2: ("id", "codes"),
    4: ("id", "image_id", "text", "codes"),
}
"""Columns read -> columns written with the codes: (id, picture), (id, image id, picture, text)."""


@dataclass(frozen=True)
class PictureRow:
    """A picture and the cells that go before its codes."""

    cells: tuple[str, ...]
    picture: Image.Image
    base64: str | None = None
    """The picture as the row holds it; None where it is a file."""


class PictureRows(Protocol):
    """Rows by number, from any process."""

    columns: tuple[str, ...]
    """Of the file to write, codes included."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> PictureRow:
        """The row; raises BadRow naming file and row."""

    def fingerprint(self) -> str:
        """Text that changes when the rows do."""


class TsvPictures:
    """Rows of TSV files with 2 columns (id, picture) or 4 (id, image id, picture, text).

    Pictures are base64, or paths relative to the folder of the files.  Raises ValueError for other
    numbers of columns.
    """

    def __init__(self, paths: str, selected_cols: str | None = None) -> None:
        self._reader = TsvReader(paths, selected_cols)
        width = len(self._reader[0])
        if width not in COLUMNS:
            raise ValueError(
                f"{paths}: expected 2 columns (id, picture) or 4 (id, image id, picture, text), "
                f"found {width}; choose them with --selected-cols"
            )
        self.columns = COLUMNS[width]
        self._source = ImageSource(root=common_folder(self._reader.paths))
        self._selected_cols = selected_cols

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, index: int) -> PictureRow:
        cells = self._reader[index]
        position = len(cells) // 2
        cell = cells.pop(position)
        try:
            picture = load_image(cell, self._source)
        except BadRow as error:
            raise error.at(*self._reader.locate(index)) from None
        is_path = Path(cell[-8:]).suffix.lower() in IMAGE_SUFFIXES
        return PictureRow(tuple(cells), picture, None if is_path else cell)

    def fingerprint(self) -> str:
        """Paths, sizes and times of the files, and the columns."""
        stats = [(path, os.stat(path)) for path in self._reader.paths]
        times = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
        return f"{times} {self._selected_cols}"


class FolderPictures:
    """The picture files of a folder and the folders in it, sorted; ids are their relative paths.

    Raises ValueError when there are none.
    """

    columns = COLUMNS[2]

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = sorted(
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
        )
        if not self._names:
            raise ValueError(
                f"{folder}: no pictures; known are {', '.join(sorted(IMAGE_SUFFIXES))}"
            )

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> PictureRow:
        name = self._names[index]
        try:
            picture = load_image(name, ImageSource("path", self._folder))
        except BadRow as error:
            raise error.at(str(self._folder / name), index + 1) from None
        return PictureRow((name,), picture)

    def fingerprint(self) -> str:
        """The folder and its files."""
        return f"{self._folder.resolve()} {self._names}"


def open_pictures(path: str, selected_cols: str | None = None) -> PictureRows:
    """Rows of a folder of pictures, or of TSV files (comma-separated)."""
    if Path(path).is_dir():
        return FolderPictures(Path(path))
    return TsvPictures(path, selected_cols)
