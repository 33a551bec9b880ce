"""THE TSV writer: checked fields, a file that appears only when it is complete, and resuming.

While rows are written they go to NAME.partial, with NAME.partial.json saying how far the source was
read. A later writer with the same fingerprint goes on from there; any other one starts afresh.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from biomedgpt_fairseq.data.tsv import COLUMN_SEPARATOR, ENCODING, ROW_END

FORBIDDEN = {
    COLUMN_SEPARATOR: "a tab",
    ROW_END: "a newline",
    "\r": "a carriage return",
    "\0": "a NUL character",
}
MAX_LISTED_REJECTS = 1000
_DAMAGED_STATE = (ValueError, OverflowError, LookupError, TypeError, AttributeError, RecursionError)


def clean_field(text: str) -> str:
    """Text whose runs of white space, tabs and newlines included, are one space each."""
    return " ".join(text.split())


def check_row(row: Sequence[str], columns: Sequence[str], where: str) -> None:
    """Raise ValueError unless the row has these columns and no field holds a separator."""
    if len(row) != len(columns):
        raise ValueError(
            f"{where}: expected {len(columns)} columns ({', '.join(columns)}), found {len(row)}"
        )
    for name, field in zip(columns, row, strict=True):
        for character, described in FORBIDDEN.items():
            place = field.find(character)
            if place >= 0:
                raise ValueError(
                    f"{where}: column {name!r} holds {described} at character {place}; "
                    "a TSV field cannot hold it: replace it with a space"
                )


def write_text(path: Path, text: str) -> None:
    """Write a small UTF-8 file at once: readers see the old content or the new, never a part."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding=ENCODING, newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write a value as readable JSON, keeping the order of its keys."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


class TsvWriter:
    """Context manager that writes one TSV file row by row.

    `fingerprint` names the source and the options; empty: never resume. `taken` counts the source
    items that are done (rows written and items rejected): the caller skips that many.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        fingerprint: str = "",
        checkpoint_rows: int = 1000,
    ) -> None:
        self.path = path
        self.columns = tuple(columns)
        self.rows = 0
        self.taken = 0
        self.reject_counts: dict[str, int] = {}
        self.rejects: list[tuple[str, str]] = []
        self._fingerprint = fingerprint
        self._checkpoint_rows = checkpoint_rows
        self._partial = path.with_name(path.name + ".partial")
        self._state = path.with_name(path.name + ".partial.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        size = self._load_state()
        self._stream = self._partial.open("r+b" if size else "wb")
        self._stream.truncate(size)
        self._stream.seek(size)

    def write(self, row: Sequence[str]) -> None:
        """Append one row; ValueError, and no change, when a field cannot be stored."""
        check_row(row, self.columns, f"{self.path.name}: row {self.rows + 1}")
        try:
            line = (COLUMN_SEPARATOR.join(row) + ROW_END).encode(ENCODING)
        except UnicodeEncodeError as error:
            raise ValueError(f"{self.path.name}: row {self.rows + 1}: {error}") from error
        self._stream.write(line)
        self.rows += 1
        self._take()

    def reject(self, item: str, reason: str) -> None:
        """Count a source item that gives no row."""
        self.reject_counts[reason] = self.reject_counts.get(reason, 0) + 1
        if len(self.rejects) < MAX_LISTED_REJECTS:
            self.rejects.append((item, reason))
        self._take()

    def __enter__(self) -> TsvWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._checkpoint()
            self._stream.close()
            return
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._partial.replace(self.path)
        self._state.unlink(missing_ok=True)

    def _take(self) -> None:
        self.taken += 1
        if self._fingerprint and self.taken % self._checkpoint_rows == 0:
            self._checkpoint()

    def _checkpoint(self) -> None:
        self._stream.flush()
        # The rows must be on the disk before the state that counts them.
        os.fsync(self._stream.fileno())
        state = {
            "fingerprint": self._fingerprint,
            "bytes": self._stream.tell(),
            "rows": self.rows,
            "taken": self.taken,
            "reject_counts": self.reject_counts,
            "rejects": self.rejects,
        }
        if self._fingerprint:
            write_json(self._state, state)

    def _load_state(self) -> int:
        """Take over the counts of an interrupted run; returns the bytes that are valid, 0 if its
        state is damaged or another run's.
        """
        if not self._fingerprint or not self._state.is_file() or not self._partial.is_file():
            return 0
        try:
            state = json.loads(self._state.read_bytes())
            size, rows, taken = (int(state[name]) for name in ("bytes", "rows", "taken"))
            counts = {str(k): int(v) for k, v in state["reject_counts"].items()}
            rejects = [(str(item), str(reason)) for item, reason in state["rejects"]]
            known = state["fingerprint"] == self._fingerprint
        except _DAMAGED_STATE:
            return 0
        if not known or not 0 <= size <= self._partial.stat().st_size or min(rows, taken) < 0:
            return 0
        self.rows, self.taken, self.reject_counts, self.rejects = rows, taken, counts, rejects
        return size
