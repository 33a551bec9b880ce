"""Records to rows: their pictures are read once to compare them, and once to store them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from data_utils.box_rows import reduced
from data_utils.images import (
    ImagePolicy,
    encode_file,
    hash_pixels,
    open_verified,
    stored_size,
)
from data_utils.layouts import IMAGE, LABELS, Layout, Record
from data_utils.splits import text_key
from data_utils.writer import RejectedItem


class RowMaker:
    """Rows of one layout, and what makes them equal."""

    def __init__(self, layout: Layout, policy: ImagePolicy) -> None:
        self._layout, self._policy = layout, policy
        self._hashes: dict[Path, str] = {}
        self._unreadable: dict[Path, str] = {}
        self._sizes: dict[Path, tuple[int, int]] = {}

    def key(self, record: Record) -> str:
        """Equal for records that are the same row; "" for a picture that cannot be read."""
        if IMAGE not in self._layout.same:
            return text_key([record.cells[column] for column in self._layout.same])
        if record.image is None:
            raise ValueError(f"{record.item}: expected a picture, found none")
        if record.image not in self._hashes:
            self._hashes[record.image] = self._hash(record.image)
        return self._hashes[record.image]

    def can_make(self, record: Record) -> bool:
        """Whether the picture, if there is one, was readable when the key was made."""
        return record.image not in self._unreadable

    def make(self, record: Record) -> list[str]:
        """The row; RejectedItem when its picture was not readable."""
        cells = dict(record.cells)
        if record.image is not None:
            if record.image in self._unreadable:
                raise RejectedItem(str(record.image), self._unreadable[record.image])
            cells[IMAGE] = encode_file(record.image, self._policy)
            if LABELS in cells:
                old, new = self._sizes[record.image], stored_size(cells[IMAGE])
                cells[LABELS] = reduced(cells[LABELS], old, new)
        return [cells[column] for column in self._layout.columns]

    def _hash(self, path: Path) -> str:
        try:
            image = open_verified(path, self._policy)
            self._sizes[path] = image.size
            return hash_pixels(image)
        except RejectedItem as rejected:
            self._unreadable[path] = rejected.reason
            return ""


def digest(records: Sequence[Record]) -> str:
    """Changes with the records, their splits, and the sizes and times of their pictures."""
    found = hashlib.sha256()
    for record in records:
        stat = record.image.stat() if record.image and record.image.is_file() else None
        times = (stat.st_size, stat.st_mtime_ns) if stat else ()
        seen = (record.item, sorted(record.cells.items()), record.split, str(record.image), times)
        found.update(repr(seen).encode(errors="replace"))
    return found.hexdigest()
