"""THE reader of tab-separated files: random access by row, shards, chosen columns.

Rows end at `\\n` (one `\\r` before it is dropped), columns at a tab; no header, quoting or
escaping; UTF-8, whose byte order mark is dropped. Every row has as many columns as the first: a tab
or a line break inside a text would shift or cut cells unseen.
"""

from __future__ import annotations

import bisect
import codecs
import functools
import itertools
import logging
import operator
import os
from collections.abc import Iterator, Sequence

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.tsv_index import load_offsets

logger = logging.getLogger(__name__)

COLUMN_SEPARATOR = "\t"
ROW_END = "\n"
ENCODING = "utf-8"

_TAB = COLUMN_SEPARATOR.encode()
_HEAD_BYTES = 1 << 13
MAX_ROW_BYTES = 1 << 29
"""Bytes of a row: more than the largest picture that is read takes as base64."""


class TsvReader:
    """Rows of one file or of several, one after the other.

    paths: a path, a comma-separated list of paths, or a sequence of paths.
    selected_cols: comma-separated column indices, in the order in which they are wanted; None: all.
    `reader[i]` is row i in any order and from any process: files are read with pread, which moves
    no shared position, and are opened again after pickling.
    Raises FileNotFoundError for a missing file, ValueError for an empty one and for bad options.
    """

    def __init__(self, paths: str | Sequence[str], selected_cols: str | None = None) -> None:
        listed = paths.split(",") if isinstance(paths, str) else list(paths)
        self.paths = [path.strip() for path in listed if path.strip()]
        if not self.paths:
            raise ValueError(f"expected at least one TSV file, found {paths!r}")
        self._columns = None if selected_cols is None else parse_columns(selected_cols)
        self._shards = [_Shard(path) for path in self.paths]
        for shard in self._shards:
            if not shard.ends_with_row_end():
                logger.warning("%s: the last row has no line end; is the file cut off?", shard.path)
        self._ends = list(itertools.accumulate(len(shard) for shard in self._shards))
        # Without a choice of columns, the first row says how many there are.
        self._width = None if self._columns is not None else self._shards[0].num_columns()

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> list[str]:
        """The selected columns of a row.

        Raises IndexError outside [0, len), BadRow (a ValueError) for bad bytes or missing columns.
        """
        shard, row = self._find(index)
        cells = shard.text(row).split(COLUMN_SEPARATOR)
        columns = self._columns
        if columns is not None and len(cells) <= max(columns):
            raise self._too_few(shard, row, len(cells))
        width = self._width or shard.width
        if len(cells) != width:
            raise shard.error(
                row,
                f"expected {width} columns as in the first row, found {len(cells)}; "
                + shard.reason_of_width(row),
            )
        return cells if columns is None else [cells[column] for column in columns]

    def __iter__(self) -> Iterator[list[str]]:
        return (self[i] for i in range(len(self)))

    def locate(self, index: int) -> tuple[str, int]:
        """Path and row number (from 1) of a row."""
        shard, row = self._find(index)
        return shard.path, row + 1

    def column(self, position: int) -> Iterator[str]:
        """One of the selected columns of all rows, in order.

        Cheaper than whole rows: of long rows, only as much is read as is needed to find the cell.
        """
        column = position if self._columns is None else self._columns[position]
        for shard in self._shards:
            for row in range(len(shard)):
                cell = shard.cell(row, column)
                if cell is None:
                    raise self._too_few(shard, row, shard.num_columns(row))
                yield cell

    def _find(self, index: int) -> tuple[_Shard, int]:
        position = operator.index(index)
        if not 0 <= position < len(self):
            raise IndexError(f"row {position} is outside of the {len(self)} rows")
        number = bisect.bisect_right(self._ends, position)
        return self._shards[number], position - (self._ends[number - 1] if number else 0)

    def _too_few(self, shard: _Shard, row: int, found: int) -> BadRow:
        needed = 1 + max(self._columns) if self._columns else self._width
        chosen = ",".join(map(str, self._columns or []))
        return shard.error(
            row,
            f"expected at least {needed} columns (--selected-cols {chosen}), "
            f"found {found}; check --selected-cols and the file",
        )


class _Shard:
    """One file with the offsets of its rows."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._offsets, self._stat = load_offsets(path)
        self._file: int | None = None

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getstate__(self) -> dict[str, object]:
        # A mapped index would travel as a copy; the receiving process maps it again.
        return {"path": self.path}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def __del__(self) -> None:
        file = getattr(self, "_file", None)
        if file is not None:
            os.close(file)

    def text(self, row: int) -> str:
        """The row without its end."""
        return self._decode(self._row(row), row)

    def cell(self, row: int, column: int) -> str | None:
        """One column of a row; None when the row has fewer."""
        start, end = int(self._offsets[row]), int(self._offsets[row + 1])
        if end - start > _HEAD_BYTES:
            cells = self._read(start, start + _HEAD_BYTES).split(_TAB, column + 1)
            if len(cells) > column + 1:
                return self._decode(cells[column], row)
        cells = self._row(row).split(_TAB, column + 1)
        return self._decode(cells[column], row) if len(cells) > column else None

    @functools.cached_property
    def width(self) -> int:
        """Number of columns of the first row."""
        return self.num_columns()

    def num_columns(self, row: int = 0) -> int:
        """Number of columns of a row."""
        return self._row(row).count(_TAB) + 1

    def ends_with_row_end(self) -> bool:
        """Whether the last row has a line end, as files have that are complete."""
        # Not by `_read`, which keeps the file open: every process opens its own.
        with open(self.path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"

    def reason_of_width(self, row: int) -> str:
        """What to do about a row of another width than the first."""
        if row + 1 == len(self) and not self.ends_with_row_end():
            return "the file is cut off in the middle of this row: copy or write it again"
        return "is there a tab or a line break inside a text? Replace it with a space"

    def error(self, row: int, reason: str) -> BadRow:
        """The error that names this file and the row."""
        return BadRow(reason, self.path, row + 1)

    def _decode(self, raw: bytes, row: int) -> str:
        if row == 0:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if b"\0" in raw:
            raise self.error(
                row,
                f"expected text, found a NUL character at byte {raw.index(0)}; is the file UTF-16, "
                "or damaged? It must be UTF-8",
            )
        try:
            return raw.decode(ENCODING)
        except UnicodeDecodeError as error:
            raise self.error(
                row,
                f"expected UTF-8 text, found {error.reason} "
                f"({raw[error.start : error.end]!r} at byte {error.start}); save the file as UTF-8",
            ) from None

    def _row(self, row: int) -> bytes:
        start, end = int(self._offsets[row]), int(self._offsets[row + 1])
        if end - start > MAX_ROW_BYTES:
            raise self.error(
                row,
                f"{end - start:,} bytes, more than the limit of {MAX_ROW_BYTES:,}; are line ends "
                "missing, or is this no table?",
            )
        raw = self._read(start, end)
        if not raw.endswith(b"\n") and row + 1 < len(self):
            raise ValueError(f"{self.path}: the file changed since it was opened; start again")
        return raw.removesuffix(b"\n").removesuffix(b"\r")

    def _descriptor(self) -> int:
        if self._file is None:
            self._file = os.open(self.path, os.O_RDONLY)
            stat = os.fstat(self._file)
            if (stat.st_size, stat.st_mtime_ns) != (self._stat.st_size, self._stat.st_mtime_ns):
                raise ValueError(f"{self.path}: the file changed since it was opened; start again")
        return self._file

    def _read(self, start: int, end: int) -> bytes:
        parts = []
        while start < end:
            part = os.pread(self._descriptor(), end - start, start)
            if not part:
                raise ValueError(f"{self.path}: the file is shorter than its index; start again")
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def parse_columns(selected_cols: str) -> list[int]:
    """Column indices of a comma-separated list.  Raises ValueError when it is not one."""
    parts = [part.strip() for part in selected_cols.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(
            "--selected-cols must be comma-separated column indices from 0, "
            f"found {selected_cols!r}"
        )
    return [int(part) for part in parts]
