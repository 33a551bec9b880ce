"""Corruption of text: what each mode does, and how much of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biomedgpt_fairseq.data.text_infill import NoiseOptions, TextNoise, poisson_shares
from biomedgpt_fairseq.text.tokenizer import Tokenizer, load_tokenizer
from biomedgpt_fairseq.text.vocab import Vocabulary

VOCAB = Vocabulary([str(i) for i in range(200)], 8, 10)
MASK, TEXT_END = VOCAB.mask, VOCAB.text_end
# Forty words of three tokens; only numbers that can be divided by three begin a word.
TEXT = np.arange(30, 150)
DRAWS = 400


class ThreeTokenWords:
    vocab = VOCAB

    def word_starts(self) -> np.ndarray:
        return np.arange(len(VOCAB)) % 3 == 0


def noise(**options: Any) -> TextNoise:
    return TextNoise(ThreeTokenWords(), NoiseOptions(**options))  # type: ignore[arg-type]


def draws(**options: Any) -> list[np.ndarray]:
    corrupt = noise(**options)
    return [corrupt(TEXT, np.random.default_rng(i)) for i in range(DRAWS)]


def kept(noisy: np.ndarray) -> np.ndarray:
    return noisy[noisy != MASK]


def is_in_order(noisy: np.ndarray) -> bool:
    tokens = kept(noisy)
    return bool((np.diff(tokens) > 0).all() and np.isin(tokens, TEXT).all())


def test_same_generator_gives_the_same_text_and_leaves_the_input_alone() -> None:
    before = TEXT.copy()
    first, second = (noise()(TEXT, np.random.default_rng(3)) for _ in range(2))
    assert first.tolist() == second.tolist() != TEXT.tolist()
    assert (before == TEXT).all()


@pytest.mark.parametrize("share", [0.15, 0.3, 0.5])
def test_word_mode_masks_the_share_of_words_rounded_up(share: float) -> None:
    for noisy in draws(mask_length="word", mask_ratio=share):
        words = math.ceil(share * 40)
        assert (noisy == MASK).sum() == words
        assert len(kept(noisy)) == 3 * (40 - words)
        assert is_in_order(noisy)
        # Whole words go: what is left of each word is all of it.
        assert (np.bincount(kept(noisy) // 3, minlength=50)[10:] % 3 == 0).all()


def test_word_mode_with_a_mask_for_each_token_keeps_the_length() -> None:
    for noisy in draws(mask_length="word", replace_length=-1):
        assert len(noisy) == len(TEXT)
        assert (noisy == MASK).sum() == 3 * 12
        changed = noisy != TEXT
        assert (changed.reshape(40, 3).sum(1) % 3 == 0).all()


def test_word_mode_without_masks_deletes_words() -> None:
    for noisy in draws(mask_length="word", replace_length=0):
        assert MASK not in noisy
        assert len(noisy) == len(TEXT) - 3 * 12


@pytest.mark.parametrize("replace_length", [0, 1])
def test_subword_mode_masks_single_tokens(replace_length: int) -> None:
    for noisy in draws(mask_length="subword", replace_length=replace_length):
        assert (noisy == MASK).sum() == 36 * replace_length
        assert len(kept(noisy)) == len(TEXT) - 36
        assert is_in_order(noisy)


def test_every_word_is_masked_equally_often() -> None:
    hits = sum((~np.isin(TEXT[::3], noisy)).astype(int) for noisy in draws(mask_length="word"))
    expected = DRAWS * 0.3
    assert np.abs(hits - expected).max() < 5 * math.sqrt(DRAWS * 0.3 * 0.7)


def spans_of(noisy: np.ndarray) -> list[int]:
    """Words that are missing at each mask, where masks do not meet."""
    found, last, pending = [], TEXT[0] - 1, False
    for token in [*noisy, TEXT[-1] + 1]:
        if token == MASK:
            pending = True
        else:
            if pending:
                found.append(-(-(token - last - 1) // 3))
            last, pending = token, False
    return found


def test_span_lengths_before_trimming_are_poisson() -> None:
    corrupt = noise()
    drawn = np.concatenate(
        [corrupt._span_lengths(2000, np.random.default_rng(i))[:-1] for i in range(20)]
    )
    counts = np.bincount(drawn, minlength=12)[:12] / len(drawn)
    expected = [math.exp(-3) * 3**k / math.factorial(k) for k in range(12)]
    assert np.abs(counts - expected).max() < 0.012
    assert drawn.mean() == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("rate", [1.0, 3.0, 10.0])
def test_span_shares_are_those_of_a_poisson_distribution(rate: float) -> None:
    shares = poisson_shares(rate)
    exact = [math.exp(-rate + k * math.log(rate) - math.lgamma(k + 1)) for k in range(len(shares))]
    assert shares == pytest.approx(exact, rel=1e-5)
    assert shares.sum() == pytest.approx(1)


def test_span_mode_masks_no_more_words_than_the_budget() -> None:
    missing, masks = [], []
    for noisy in draws():
        assert is_in_order(noisy)
        missing.append(40 - len(kept(noisy)) / 3)
        masks.append(int((noisy == MASK).sum()))
    # Spans may overlap or end at the end of the text, so a little less than the budget is usual.
    assert max(missing) <= 12
    assert 9.5 < np.mean(missing) < 12
    # Twelve words in spans of three words on average, and an insertion for each empty span.
    assert 3.2 < np.mean(masks) < 4.8


def test_span_mode_reaches_several_words_at_one_mask() -> None:
    lengths = [length for noisy in draws() for length in spans_of(noisy)]
    shares = np.bincount(lengths, minlength=8)[:8] / len(lengths)
    assert shares[0] > 0.02  # insertions
    assert shares[2] + shares[3] > 0.25
    assert max(lengths) >= 6


def test_span_mode_with_a_mask_for_each_token_keeps_the_length_but_for_insertions() -> None:
    for noisy in draws(replace_length=-1):
        inserted = len(noisy) - len(TEXT)
        assert 0 <= inserted <= 12
        assert (noisy == MASK).sum() <= inserted + 36
        assert is_in_order(noisy)


def test_span_mode_without_masks_inserts_them_for_empty_spans_only() -> None:
    masks = [int((noisy == MASK).sum()) for noisy in draws(replace_length=0)]
    assert min(masks) == 0
    assert 0 < np.mean(masks) < 1


@pytest.mark.parametrize("mode", ["word", "subword", "span-poisson"])
def test_random_ratio_replaces_masks_by_text_tokens(mode: str) -> None:
    plain = draws(mask_length=mode)
    noisy = draws(mask_length=mode, random_ratio=0.5)
    share = sum((n == MASK).sum() for n in noisy) / sum((n == MASK).sum() for n in plain)
    # Of insertions, the random part is rounded up.
    assert 0.35 < share < 0.55
    everything = np.concatenate(noisy)
    assert everything[everything != MASK].min() >= 4
    assert everything[everything != MASK].max() < TEXT_END
    assert not np.isin(everything[everything != MASK], TEXT).all()


def test_no_share_leaves_the_text() -> None:
    assert noise(mask_ratio=0.0)(TEXT, np.random.default_rng(0)).tolist() == TEXT.tolist()


def test_text_within_a_word_has_nothing_to_mask() -> None:
    inside = np.array([31, 32])
    assert noise()(inside, np.random.default_rng(0)).tolist() == [31, 32]


def test_one_word_can_be_masked() -> None:
    results = {tuple(noise()(TEXT[:3], np.random.default_rng(i))) for i in range(200)}
    assert (MASK,) in results


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_ratio": 1.5}, r"--mask-ratio must lie in \[0, 1\], found 1.5"),
        ({"random_ratio": -0.1}, "--random-ratio must lie"),
        ({"mask_length": "letter"}, "--mask-length must be subword, word or span-poisson"),
        ({"replace_length": 2}, "--replace-length must be one of -1, 0, 1"),
        ({"mask_length": "subword", "replace_length": -1}, "one of 0, 1 with --mask-length subw"),
        ({"poisson_lambda": 0.0}, "--poisson-lambda must be positive"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NoiseOptions(**options)


@pytest.fixture(scope="module")
def released(shared_dir: Path) -> Tokenizer:
    return load_tokenizer(shared_dir / "data" / "bpe")


@pytest.mark.shared
@pytest.mark.parametrize("name", [f"mask{i}" for i in range(11)])
def test_recorded_corruptions_are_likely_ones(
    name: str, released: Tokenizer, shared_dir: Path
) -> None:
    recorded = json.loads((shared_dir / "golden/samples/masking.json").read_text())[name]
    corrupt = TextNoise(released, NoiseOptions(**recorded["options"]))
    own, theirs = [], []
    for case in recorded["cases"]:
        text, wanted = np.array(case["input"][1:-1]), np.array(case["output"][1:-1])
        found = [corrupt(text, np.random.default_rng(i)) for i in range(150)]
        lengths = [len(one) for one in found]
        assert min(lengths) <= len(wanted) <= max(lengths)
        masks = [int((one == corrupt.mask).sum()) for one in found]
        assert min(masks) <= (wanted == corrupt.mask).sum() <= max(masks)
        own.append((np.mean(lengths), np.mean(masks), np.std(lengths), np.std(masks)))
        theirs.append((len(wanted), (wanted == corrupt.mask).sum()))
    own_means, their_means = np.mean(own, axis=0), np.mean(theirs, axis=0)
    for i in range(2):
        error = own_means[i + 2] / math.sqrt(len(own))
        assert abs(own_means[i] - their_means[i]) <= 3.5 * error + 1e-9
