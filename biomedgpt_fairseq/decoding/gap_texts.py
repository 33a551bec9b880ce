"""Texts with gaps: what may come next when all words but those in the gaps are given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

LONGEST_GAP = 12
_ROOM = 700  # tokens in the gaps of a text, so that it fits into the position tables

# Tokens of the pattern that are matched, and tokens written into the gap that comes next.
State = tuple[int, int]


class GapTexts:
    """Allowed continuations of the hypotheses of each sample.

    patterns: tokens of each sample without bos and eos, `mask` at each gap; adjacent gaps are one.
    words: first and last + 1 of the ids that a gap may hold; it may also stay empty.
    """

    def __init__(
        self, patterns: Sequence[Sequence[int]], mask: int, words: tuple[int, int], eos: int
    ) -> None:
        self.mask, self.words, self.eos = mask, words, eos
        self.patterns = [
            [t for i, t in enumerate(p) if t != mask or i == 0 or p[i - 1] != mask]
            for p in patterns
        ]
        gaps = [max(1, pattern.count(mask)) for pattern in self.patterns]
        self.longest_gap = [min(LONGEST_GAP, _ROOM // count) for count in gaps]
        self._any_word = torch.arange(*words)
        self._known: dict[tuple[int, tuple[int, ...]], frozenset[State]] = {}

    @property
    def max_len(self) -> int:
        """Tokens of the longest text that is possible."""
        return max(
            len(pattern) + pattern.count(self.mask) * (longest - 1)
            for pattern, longest in zip(self.patterns, self.longest_gap, strict=True)
        )

    def __call__(self, sample: int, tokens: Tensor) -> Tensor:
        """Ids that may follow tokens (t,) with bos, a hypothesis of the sample."""
        pattern, longest = self.patterns[sample], self.longest_gap[sample]
        given = set()
        in_gap = False
        for place, written in self._states(sample, tuple(tokens.tolist()[1:])):
            if place == len(pattern):
                given.add(self.eos)
            elif pattern[place] != self.mask:
                given.add(pattern[place])
            else:
                in_gap |= written < longest
        ids = torch.tensor(sorted(given), dtype=torch.long)
        return torch.cat([ids, self._any_word]) if in_gap else ids

    def _states(self, sample: int, tokens: tuple[int, ...]) -> frozenset[State]:
        """Every way in which the pattern may have led to the tokens."""
        found = self._known.get((sample, tokens))
        if found is None:
            pattern = self.patterns[sample]
            if tokens:
                before = self._states(sample, tokens[:-1])
                reached = {
                    after for one in before for after in self._after(sample, one, tokens[-1])
                }
            else:
                reached = {(0, 0)}
            # A gap may end at any time.
            reached |= {
                (place + 1, 0)
                for place, _ in reached
                if place < len(pattern) and pattern[place] == self.mask
            }
            found = self._known[sample, tokens] = frozenset(reached)
        return found

    def _after(self, sample: int, state: State, token: int) -> list[State]:
        pattern, (place, written) = self.patterns[sample], state
        if place == len(pattern):
            return []
        if pattern[place] == self.mask:
            fits = written < self.longest_gap[sample] and self.words[0] <= token < self.words[1]
            return [(place, written + 1)] if fits else []
        return [(place + 1, 0)] if pattern[place] == token else []
