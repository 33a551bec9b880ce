"""What a search tells its processors, and what a processor is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Space = Literal["logits", "lprobs"]


@dataclass(frozen=True)
class Rows:
    """The hypotheses being continued, N of them.

    tokens: (N, t+1) int64, bos first.  sample: (N,) int64, place in the original batch.
    parent: (N,) int64, which row of the step before each one continues; None in the first step.
    columns: (C,) int64, ids that the columns of scores stand for, ascending and specials first;
    None: those of the whole vocabulary.
    """

    tokens: Tensor
    sample: Tensor
    parent: Tensor | None
    columns: Tensor | None = None

    @property
    def step(self) -> int:
        """t: tokens so far, without bos."""
        return self.tokens.size(1) - 1

    def first_of_each(self, width: int) -> Rows:
        """The first of every `width` rows, which have had no others as parents."""
        parent = None if self.parent is None else self.parent[::width] // width
        return Rows(self.tokens[::width], self.sample[::width], parent)


class Prompt:
    """Forced start of each sample's hypotheses.

    tokens: (B, p) int64 without bos; pad: the position is free.  From an eos on everything is
    free: forced, it would end the hypothesis before its answer.
    """

    def __init__(self, tokens: Tensor, pad: int, eos: int) -> None:
        ended = tokens.eq(eos).cumsum(1).gt(0)
        self.pad = pad
        self.tokens = tokens.masked_fill(ended, pad)
        self.lengths = self.tokens.ne(pad).sum(1)  # (B,)
        lengths: list[int] = self.lengths.tolist()
        self.longest = max(lengths, default=0)
        self.shortest = min(lengths, default=0)
        self.width: int = tokens.size(1)
        """Columns, the free ones included."""

    def forced(self, rows: Rows) -> Tensor | None:
        """Token (N,) each row must take now, pad: free; None behind the last column."""
        if rows.step >= self.width:
            return None
        return self.tokens[rows.sample, rows.step]

    def is_over(self, rows: Rows) -> Tensor:
        """(N,) bool: the row has taken all its forced tokens."""
        return self.lengths[rows.sample] <= rows.step


class Processor:
    """Base: acts on log-probabilities, keeps no state."""

    acts_on: Space = "lprobs"
    specials_only = False
    """Changes nothing but single special ids or whole rows, so that other columns may be missing;
    a forced prompt counts, as no column is missing while it lasts."""

    def columns(self, rows: Rows) -> Tensor | None:
        """Ids (C,), ascending and specials first, outside which it leaves nothing, or None."""
        return None

    def is_decided(self, rows: Rows) -> bool:
        """Whether no row has a choice, so that every id that it leaves has probability one."""
        return False

    def advance(self, rows: Rows) -> None:
        """Follow the hypotheses; called once a step, before any call."""

    def __call__(self, rows: Rows, scores: Tensor) -> Tensor:
        """Scores of the next token -> scores, both (N, V), or (N, C) where rows have columns."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__")
