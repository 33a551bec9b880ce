"""Texts with gaps: which ids may follow."""

from __future__ import annotations

import re

import numpy as np
import torch

from biomedgpt_fairseq.decoding.gap_texts import LONGEST_GAP, GapTexts

EOS, MASK, WORDS = 2, 9, (4, 9)  # words are 4 to 8


def allowed(gaps: GapTexts, *tokens: int, sample: int = 0) -> set[int]:
    return set(gaps(sample, torch.tensor([0, *tokens])).tolist())


def test_gap_may_be_empty_and_ends_at_the_word_behind_it() -> None:
    gaps = GapTexts([[4, MASK, 5]], MASK, WORDS, EOS)
    assert allowed(gaps) == {4}
    assert allowed(gaps, 4) == {4, 5, 6, 7, 8}
    # The 5 may be the word of the pattern, or one in the gap.
    assert allowed(gaps, 4, 5) == {4, 5, 6, 7, 8, EOS}
    assert allowed(gaps, 4, 6) == {4, 5, 6, 7, 8}
    assert allowed(gaps, 5) == set()


def test_gap_has_a_longest_filling() -> None:
    gaps = GapTexts([[MASK, 5], [4, MASK]], MASK, WORDS, EOS)
    assert allowed(gaps, *[6] * (LONGEST_GAP - 1)) == {4, 5, 6, 7, 8}
    assert allowed(gaps, *[6] * LONGEST_GAP) == {5}
    assert allowed(gaps, *[6] * (LONGEST_GAP + 1)) == set()
    assert allowed(gaps, 4, *[6] * LONGEST_GAP, sample=1) == {EOS}
    assert gaps.max_len == LONGEST_GAP + 1


def test_adjacent_gaps_are_one_and_many_gaps_are_shorter() -> None:
    assert GapTexts([[4, MASK, MASK, 5]], MASK, WORDS, EOS).patterns == [[4, MASK, 5]]
    many = GapTexts([[MASK, 4] * 128], MASK, WORDS, EOS)
    assert many.longest_gap == [5] and many.max_len == 128 * 6


def test_exactly_the_fillings_of_the_pattern_can_end() -> None:
    """Against a regular expression, on random walks through what is allowed."""
    pattern = [4, MASK, 5, 4, MASK, 5]
    gaps = GapTexts([pattern], MASK, WORDS, EOS)
    form = re.compile("4[4-8]{0,12}54[4-8]{0,12}5")
    rng = np.random.default_rng(1)
    ended = 0
    for _ in range(200):
        tokens: list[int] = []
        for _ in range(gaps.max_len + 1):
            ids = allowed(gaps, *tokens)
            text = "".join(map(str, tokens))
            assert ids  # nothing that was allowed leads to a dead end
            assert (EOS in ids) == bool(form.fullmatch(text))
            token = int(rng.choice(sorted(ids)))
            if token == EOS:
                ended += 1
                break
            tokens.append(token)
        else:
            raise AssertionError("longer than the longest text")
    assert ended == 200
