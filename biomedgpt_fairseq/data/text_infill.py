"""Corruption of text whose original the model has to write: masked spans of words.

Source: BART (arXiv:1910.13461), in the form in which the released models were pretrained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from biomedgpt_fairseq.text.tokenizer import Tokenizer
from biomedgpt_fairseq.text.vocab import Vocabulary

Tokens = npt.NDArray[np.int64]
MaskLength = Literal["subword", "word", "span-poisson"]

_MAX_SPAN = 128
_LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class NoiseOptions:
    """How text is corrupted.

    mask_ratio: share of the words that are masked, rounded up; random_ratio: share of the masks
    that become random tokens.
    mask_length: mask single tokens, single words, or spans whose number of words is Poisson
    distributed (poisson_lambda); a span of no word inserts a mask.
    replace_length: a span becomes one mask (1), one mask for each token (-1), or nothing (0).
    """

    mask_ratio: float = 0.3
    random_ratio: float = 0.0
    mask_length: MaskLength = "span-poisson"
    poisson_lambda: float = 3.0
    replace_length: int = 1

    def __post_init__(self) -> None:
        for name in ("mask_ratio", "random_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                option = name.replace("_", "-")
                raise ValueError(f"--{option} must lie in [0, 1], found {getattr(self, name)}")
        if self.mask_length not in ("subword", "word", "span-poisson"):
            raise ValueError(
                f"--mask-length must be subword, word or span-poisson, found {self.mask_length!r}"
            )
        allowed = (0, 1) if self.mask_length == "subword" else (-1, 0, 1)
        if self.replace_length not in allowed:
            raise ValueError(
                f"--replace-length must be one of {', '.join(map(str, allowed))} with "
                f"--mask-length {self.mask_length}, found {self.replace_length}"
            )
        if not 0 < self.poisson_lambda < _MAX_SPAN:
            raise ValueError(f"--poisson-lambda must be positive, found {self.poisson_lambda}")


class TextNoise:
    """Corrupts the tokens of a text.  All randomness comes from the generator that is passed."""

    def __init__(self, tokenizer: Tokenizer, options: NoiseOptions) -> None:
        self.options = options
        self.mask = tokenizer.vocab.mask
        self.text_end = tokenizer.vocab.text_end
        self._starts = tokenizer.word_starts()
        if options.mask_length == "subword":
            self._starts[:] = True
        self._span_shares = poisson_shares(options.poisson_lambda)

    def __call__(self, tokens: Tokens, rng: np.random.Generator) -> Tokens:
        """Tokens (n,) without bos and eos -> corrupted tokens (m,)."""
        starts = np.flatnonzero(self._starts[tokens])
        budget = math.ceil(self.options.mask_ratio * len(starts))
        if budget == 0:
            return tokens
        lengths = np.ones(budget, dtype=np.int64)
        if self.options.mask_length == "span-poisson":
            lengths = self._span_lengths(budget, rng)
        spans = lengths[lengths > 0]
        if len(spans):
            tokens = self._mask_spans(tokens, starts, spans, rng)
        return self._insert_masks(tokens, len(lengths) - len(spans), rng)

    def _span_lengths(self, budget: int, rng: np.random.Generator) -> Tokens:
        """Lengths of spans in words, zeros among them, which add up to the budget."""
        drawn = np.empty(0, dtype=np.int64)
        while drawn.sum() < budget:
            more = rng.choice(len(self._span_shares), size=budget, p=self._span_shares)
            drawn = np.concatenate([drawn, more])
        last = int(np.searchsorted(drawn.cumsum(), budget))
        drawn[last] = budget - drawn[:last].sum()
        return drawn[: last + 1]

    def _mask_spans(
        self, tokens: Tokens, starts: Tokens, lengths: Tokens, rng: np.random.Generator
    ) -> Tokens:
        """Mask spans of so many words at different random word starts; spans may overlap."""
        first_words = rng.permutation(len(starts))[: len(lengths)]
        random_spans = rng.random(len(lengths)) < self.options.random_ratio
        begins = starts[first_words]
        ends = np.append(starts, len(tokens))[np.minimum(first_words + lengths, len(starts))]
        masked, keep = tokens.copy(), np.ones(len(tokens), dtype=bool)
        for begin, is_random in zip(begins, random_spans, strict=True):
            masked[begin] = self._random_ids(1, rng)[0] if is_random else self.mask
        keep[begins] = self.options.replace_length != 0
        for begin, end, is_random in zip(begins, ends, random_spans, strict=True):
            rest = slice(begin + 1, end)
            if self.options.replace_length == -1:
                masked[rest] = self._random_ids(end - begin - 1, rng) if is_random else self.mask
            else:
                keep[rest] = False
        return masked[keep]

    def _insert_masks(self, tokens: Tokens, count: int, rng: np.random.Generator) -> Tokens:
        """Masks, or random tokens, at random places between, before and behind the tokens."""
        if count == 0:
            return tokens
        places = rng.permutation(len(tokens) + count)[:count]
        num_random = math.ceil(count * self.options.random_ratio)
        noisy = np.full(len(tokens) + count, self.mask, dtype=np.int64)
        noisy[places[:num_random]] = self._random_ids(num_random, rng)
        others = np.ones(len(noisy), dtype=bool)
        others[places] = False
        noisy[others] = tokens
        return noisy

    def _random_ids(self, count: int, rng: np.random.Generator) -> Tokens:
        return rng.integers(Vocabulary.unk + 1, self.text_end, size=count)


def poisson_shares(rate: float) -> npt.NDArray[np.float64]:
    """Probabilities of the lengths 0, 1, .. of a span, cut where they become negligible."""
    shares, probability = [], math.exp(-rate)
    for length in range(1, _MAX_SPAN + 1):
        shares.append(probability)
        probability *= rate / length
        if probability < _LEAST_PROBABILITY and length > rate:
            break
    return np.array(shares) / sum(shares)
