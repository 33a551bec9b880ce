"""The error of a row that cannot be used."""

from __future__ import annotations

from collections.abc import Sequence

MAX_TEXT = 1_000_000
"""Characters of a cell, other than of a picture.  Models read a few thousand; a longer cell is a
file gone wrong, or made to fill the memory.
"""


class BadRow(ValueError):
    """A row that cannot become an example.

    Row builders raise it with the reason alone; the dataset, which knows where the row came from,
    adds the place by `at`.  One text argument is enough to rebuild it, as worker processes do.
    """

    def __init__(self, reason: str, path: str | None = None, row: int | None = None) -> None:
        super().__init__(reason if path is None else f"{path}:{row}: {reason}")
        self.reason = reason
        self.path = path
        self.row = row

    def at(self, path: str, row: int) -> BadRow:
        """The same error with file and row number (from 1); unchanged when it has them already."""
        return self if self.path is not None else BadRow(self.reason, path, row)


def check_texts(names: Sequence[str], cells: Sequence[str], limit: int = MAX_TEXT) -> None:
    """Raise BadRow for a cell of more than `limit` characters, unless its column is `image`."""
    for name, cell in zip(names, cells, strict=False):
        if len(cell) > limit and name != "image":
            raise BadRow(
                f"column {name!r} has {len(cell):,} characters, more than the limit of {limit:,}; "
                "cut or divide the text, or check the order of the columns"
            )
