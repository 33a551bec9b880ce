"""Processors: what is allowed next.  They share one call shape and compose in a list.

Each acts on logits, so that probabilities are normalised over what it leaves, or on
log-probabilities, which it changes in place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from biomedgpt_fairseq.decoding.rows import Processor, Prompt, Rows, Space
from biomedgpt_fairseq.text.trie import AnswerTrie


class TrieConstraint(Processor):
    """Only answers of the trie, beginning where the row's prompt ends.

    A node is kept for each hypothesis.  Rows off the trie and behind eos get -inf everywhere;
    rows inside their prompt are left alone.  On log-probabilities: the zero-shot form.
    """

    def __init__(
        self, trie: AnswerTrie, num_specials: int, prompt: Prompt | None, acts_on: Space
    ) -> None:
        self.trie = trie
        self.num_specials = num_specials
        self.prompt = prompt
        self.acts_on = acts_on
        self.nodes: Tensor | None = None  # (N,)
        self.next = trie.next_tokens(torch.zeros(0, dtype=torch.long, device=trie.token.device))

    def advance(self, rows: Rows) -> None:
        if rows.parent is None or self.nodes is None:
            self.nodes = torch.zeros_like(rows.sample)
        else:
            self.nodes = self.trie.advance(self.nodes[rows.parent], rows.tokens[:, -1])
        if self.prompt is not None and rows.step <= self.prompt.longest:
            self.nodes = self.nodes.masked_fill(self.prompt.lengths[rows.sample] >= rows.step, 0)
        self.next = self.trie.next_tokens(self.nodes)

    def columns(self, rows: Rows) -> Tensor | None:
        """Ids that some row may take.  On log-probabilities those of free text are at stake, which
        are normalised over the whole vocabulary, and inside prompts any token is possible."""
        if self.acts_on == "lprobs" or (self.prompt and rows.step < self.prompt.longest):
            return None
        specials = torch.arange(self.num_specials, device=self.next.token.device)
        ids: Tensor = torch.unique(torch.cat([specials, self.next.token]))
        return ids

    def is_decided(self, rows: Rows) -> bool:
        row = self.next.row
        return rows.columns is not None and bool(row[1:].gt(row[:-1]).all())

    def __call__(self, rows: Rows, scores: Tensor) -> Tensor:
        row, token = self.next
        allowed = torch.zeros_like(scores, dtype=torch.bool)  # (N, V or C)
        if rows.columns is not None:
            token = torch.searchsorted(rows.columns, token)
        allowed[row, token] = True
        if self.prompt is not None and rows.step < self.prompt.longest:
            allowed |= ~self.prompt.is_over(rows).unsqueeze(1)
        return scores.masked_fill(~allowed, -math.inf)


class RangeConstraint(Processor):
    """Only ids start .. end-1 and the special ids below num_specials.

    A forced token stays possible wherever it lies: forbidding it would only kill all hypotheses.
    On log-probabilities: the zero-shot form.
    """

    def __init__(
        self, bounds: tuple[int, int], num_specials: int, prompt: Prompt | None, acts_on: Space
    ) -> None:
        self.start, self.end = bounds
        self.num_specials = num_specials
        self.prompt = prompt
        self.acts_on = acts_on

    def __call__(self, rows: Rows, scores: Tensor) -> Tensor:
        ids = torch.arange(scores.size(1), device=scores.device)
        outside = (ids >= self.num_specials) & ((ids < self.start) | (ids >= self.end))  # (V,)
        masked = scores.masked_fill(outside, -math.inf)
        forced = self.prompt.forced(rows) if self.prompt is not None else None
        if forced is not None:  # free rows name pad, a special: it keeps its own score
            masked.scatter_(1, forced.unsqueeze(1), scores.gather(1, forced.unsqueeze(1)))
        return masked


class ForcedPrompt(Processor):
    """The row's forced token alone, with the model's log-probability; free rows as they are."""

    specials_only = True

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt

    def __call__(self, rows: Rows, scores: Tensor) -> Tensor:
        forced = self.prompt.forced(rows)
        if forced is None:
            return scores
        kept = scores.gather(1, forced.unsqueeze(1))
        scores.masked_fill_(forced.ne(self.prompt.pad).unsqueeze(1), -math.inf)
        return scores.scatter_(1, forced.unsqueeze(1), kept)


class MinimumLength(Processor):
    """No eos among the first `length` tokens; no effect on steps before `after`."""

    specials_only = True

    def __init__(self, length: int, eos: int, after: int) -> None:
        self.length, self.eos, self.after = length, eos, after

    def __call__(self, rows: Rows, scores: Tensor) -> Tensor:
        if self.after <= rows.step < self.length:
            scores[:, self.eos] = -math.inf
        return scores


class TokenPenalties(Processor):
    """No pad, unk at a price, and -inf for what is not a number (rows without a way out)."""

    specials_only = True

    def __init__(self, pad: int, unk: int, unk_penalty: float) -> None:
        self.pad, self.unk, self.unk_penalty = pad, unk, unk_penalty

    def __call__(self, rows: Rows, scores: Tensor) -> Tensor:
        scores.masked_fill_(scores.isnan(), -math.inf)
        scores[:, self.pad] = -math.inf
        if self.unk_penalty:
            scores[:, self.unk] -= self.unk_penalty
        return scores


class NoSpecials(Processor):
    """No special ids before the last step, for output of fixed length (codes, boxes)."""

    def __init__(self, num_specials: int, max_len: int) -> None:
        self.num_specials, self.max_len = num_specials, max_len

    def __call__(self, rows: Rows, scores: Tensor) -> Tensor:
        if rows.step < self.max_len:
            scores[:, : self.num_specials] = -math.inf
        return scores


class BoxSequence(Processor):
    """Four bins, then a class word, again and again.

    Class words are ids from first_class on, the last id excepted; bins start at first_bin.
    """

    def __init__(self, first_bin: int, first_class: int) -> None:
        self.first_bin, self.first_class = first_bin, first_class

    def __call__(self, rows: Rows, scores: Tensor) -> Tensor:
        scores[:, -1] = -math.inf
        if (rows.step + 1) % 5 == 0:
            scores[:, self.first_bin : self.first_class] = -math.inf
        else:
            scores[:, self.first_class :] = -math.inf
        return scores


class LastStep(Processor):
    """Nothing but eos in step max_len; its log-probability is replaced if eos_score is given."""

    specials_only = True

    def __init__(self, max_len: int, eos: int, eos_score: float | None = None) -> None:
        self.max_len, self.eos, self.eos_score = max_len, eos, eos_score

    def __call__(self, rows: Rows, scores: Tensor) -> Tensor:
        if rows.step < self.max_len:
            return scores
        eos = scores[:, self.eos].clone() if self.eos_score is None else self.eos_score
        scores.fill_(-math.inf)
        scores[:, self.eos] = eos
        return scores


class ExactLength(Processor):
    """As many tokens as the source has, then eos at no cost.  lengths: (B,)."""

    specials_only = True

    def __init__(self, lengths: Tensor, eos: int) -> None:
        self.lengths, self.eos = lengths, eos

    def __call__(self, rows: Rows, scores: Tensor) -> Tensor:
        full = self.lengths[rows.sample].le(rows.step)  # (N,)
        scores.masked_fill_(full.unsqueeze(1), -math.inf)
        scores[:, self.eos] = torch.where(full, 0.0, -math.inf)
        return scores


class NgramBlock(Processor):
    """No n-gram twice in a hypothesis, bos and prompt included; forced tokens are exempt."""

    def __init__(self, size: int, prompt: Prompt | None) -> None:
        self.size, self.prompt = size, prompt

    def __call__(self, rows: Rows, scores: Tensor) -> Tensor:
        if rows.tokens.size(1) < self.size:
            return scores
        ngrams = rows.tokens.unfold(1, self.size, 1)  # (N, M, n)
        last = rows.tokens[:, rows.tokens.size(1) - self.size + 1 :]  # (N, n-1)
        repeats = ngrams[..., :-1].eq(last.unsqueeze(1)).all(2)  # (N, M)
        forced = self.prompt.forced(rows) if self.prompt is not None else None
        if forced is not None and self.prompt is not None:
            repeats &= forced.eq(self.prompt.pad).unsqueeze(1)
        ban = torch.where(repeats, -math.inf, 0.0).to(scores)
        return scores.scatter_add_(1, ngrams[..., -1], ban)


class PrefixAllowedTokens(Processor):
    """Only the ids function(sample, tokens of the hypothesis with bos) names; runs on the host."""

    def __init__(self, function: Callable[[int, Tensor], Sequence[int] | Tensor]) -> None:
        self.function = function

    def __call__(self, rows: Rows, scores: Tensor) -> Tensor:
        banned = torch.ones_like(scores, dtype=torch.bool)
        for row, sample in enumerate(rows.sample.tolist()):
            ids = self.function(sample, rows.tokens[row])
            ids = ids if isinstance(ids, Tensor) else list(ids)
            banned[row, torch.as_tensor(ids, dtype=torch.long, device=scores.device)] = False
        return scores.masked_fill_(banned, -math.inf)
