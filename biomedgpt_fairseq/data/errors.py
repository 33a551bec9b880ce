"""The error of a row that cannot be used."""

from __future__ import annotations


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
