"""Rows of a reader as examples, and what becomes of rows that cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import torch

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.sampling import row_generator

logger = logging.getLogger(__name__)

OnBadRow = Literal["raise", "skip"]

_BAD, _TRUNCATED = 1, 2


class Built(Protocol):
    """What a row is made into."""

    @property
    def truncated(self) -> bool:
        """Whether text was cut to fit the position tables."""


T = TypeVar("T", bound=Built)


class Rows(Protocol):
    """Anything with rows; a reader also has `locate`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


class GuardedRows(Generic[T]):
    """Examples by epoch and row.

    build_example: (row, generator, index) -> example; raises BadRow for a row it cannot use.
    on_bad_row: raise, or skip: the row is logged with its place, counted, and replaced by the next
    good one.  Which row replaces it depends on the rows alone.
    """

    def __init__(
        self,
        reader: Rows,
        build_example: Callable[[Any, np.random.Generator, int], T],
        *,
        seed: int = 1,
        on_bad_row: OnBadRow = "raise",
    ) -> None:
        if on_bad_row not in ("raise", "skip"):
            raise ValueError(f"--on-bad-row must be raise or skip, found {on_bad_row!r}")
        self.reader = reader
        self.build_example = build_example
        self.seed = seed
        self.on_bad_row = on_bad_row
        # Shared with worker processes, and safe there: a row's flag is only ever set.
        self._flags = torch.zeros(len(reader), dtype=torch.uint8)
        self._flags.share_memory_()  # type: ignore[no-untyped-call]
        self._told_truncated = False

    def __len__(self) -> int:
        return len(self.reader)

    def example(self, epoch: int, index: int) -> T:
        """Row `index` with the randomness of an epoch, or the good row that replaces it."""
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} is outside of the {len(self)} rows")
        if self.on_bad_row == "raise":
            return self._build(epoch, index)
        for step in range(len(self)):
            example = self._build_or_note((index + step) % len(self), epoch)
            if example is not None:
                return example
        raise ValueError(f"{self.place(0)[0]}: none of the {len(self)} rows can be used")

    @property
    def bad_rows(self) -> int:
        """Number of different rows that were found bad and replaced."""
        return self._count(_BAD)

    @property
    def truncated_rows(self) -> int:
        """Number of different rows whose text was cut to fit the position tables."""
        return self._count(_TRUNCATED)

    def place(self, index: int) -> tuple[str, int]:
        """File and row number (from 1) of a row."""
        locate = getattr(self.reader, "locate", None)
        return ("row", index + 1) if locate is None else locate(index)

    def _build(self, epoch: int, index: int) -> T:
        try:
            row = self.reader[index]
            example = self.build_example(row, row_generator(self.seed, epoch, index), index)
        except BadRow as error:
            # Not `from error`: worker processes send the text, and one place is enough.
            raise error.at(*self.place(index)) from None
        if example.truncated:
            self._note_truncated(index)
        return example

    def _build_or_note(self, index: int, epoch: int) -> T | None:
        """The example, or None for a bad row, which is logged the first time."""
        if self._flags[index] & _BAD:
            return None
        try:
            return self._build(epoch, index)
        except BadRow as error:
            self._flags[index] |= _BAD
            logger.warning("bad row replaced by the next good one: %s", error)
            return None

    def _note_truncated(self, index: int) -> None:
        if not self._flags[index] & _TRUNCATED:
            self._flags[index] |= _TRUNCATED
            # Counting goes through all rows: once, and not for each such row.
            told, self._told_truncated = self._told_truncated, True
            if not told and self.truncated_rows == 1:
                logger.warning(
                    "%s:%d: text cut to the model's position table; further rows are only counted",
                    *self.place(index),
                )

    def _count(self, flag: int) -> int:
        return int((self._flags & flag).count_nonzero())
