"""Every answer of a search is a sequence of boxes, and boxes come back from their bins."""

from __future__ import annotations

import runpy
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from biomedgpt_fairseq.data.box_examples import named_boxes, split_answer
from biomedgpt_fairseq.data.boxes import BoxScale, flip_boxes
from biomedgpt_fairseq.decoding.box_grammar import BoxRules
from biomedgpt_fairseq.decoding.fairseq_generator import build_generator
from biomedgpt_fairseq.text.trie import AnswerTrie

stub = runpy.run_path(str(Path(__file__).parents[1] / "unit" / "decoding" / "stub_decoder.py"))
VOCAB = stub["make_vocab"](num_words=8, num_bins=7)  # words 4..11, <mask> 12, bins 13..19
BIN, EOS, V = 13, 2, 20

WORDS = st.integers(4, 11)
NAMES = st.lists(
    st.lists(WORDS, min_size=1, max_size=3).map(lambda tokens: [*tokens, EOS]),
    min_size=1,
    max_size=5,
    unique_by=tuple,
)
SOURCES = st.lists(
    st.lists(WORDS, max_size=3).map(lambda tokens: [0, *tokens, EOS]), min_size=1, max_size=3
)


def generate(seed: int, sources: list[list[int]], rules: BoxRules, **options: Any) -> Any:
    generator = build_generator(VOCAB, Namespace(**options), boxes=rules)
    decoder = stub["StubDecoder"](V, seed)
    return generator.generate([decoder], {"net_input": stub["net_input"](*sources)})


@given(
    st.integers(0, 10_000),
    SOURCES,
    NAMES,
    st.integers(0, 6),
    st.integers(1, 4),
    st.integers(7, 24),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_every_hypothesis_parses(
    seed: int,
    sources: list[list[int]],
    names: list[list[int]],
    last: int,
    beam: int,
    max_len: int,
    sampling: bool,
) -> None:
    rules = BoxRules((BIN, BIN + last), AnswerTrie(names))
    found = generate(seed, sources, rules, beam=beam, max_len_b=max_len, sampling=sampling)
    assert len(found) == len(sources)
    for ranked in found:
        for hypothesis in ranked:
            tokens = hypothesis["tokens"].tolist()
            assert tokens[-1] == EOS and len(tokens) <= max_len + 1
            objects = split_answer(tokens, hypothesis["positional_scores"].tolist(), VOCAB)
            for one in objects:
                x0, y0, x1, y1 = one.bins
                assert 0 <= x0 <= x1 <= last and 0 <= y0 <= y1 <= last
                assert [*one.name, EOS] in names and 0 < one.score <= 1


@given(st.integers(0, 10_000), SOURCES, st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_region_is_exactly_one_box(seed: int, sources: list[list[int]], beam: int) -> None:
    rules = BoxRules((BIN, BIN + 6))
    for ranked in generate(seed, sources, rules, beam=beam, min_len=4, max_len_b=4):
        for hypothesis in ranked:
            scores = hypothesis["positional_scores"].tolist()
            (one,) = split_answer(hypothesis["tokens"].tolist(), scores, VOCAB)
            assert not one.name and one.bins[0] <= one.bins[2] and one.bins[1] <= one.bins[3]


side = st.integers(16, 2000)
share = st.tuples(*[st.floats(0, 1, allow_nan=False)] * 4)


@given(
    st.tuples(side, side),
    st.lists(share, min_size=1, max_size=4),
    st.sampled_from([(64, 64, 65), (64, 512, 1000), (256, 512, 1000), (384, 512, 1000)]),
    st.booleans(),
)
def test_boxes_of_stretched_and_mirrored_pictures_come_back_within_half_a_bin(
    size: tuple[int, int],
    shares: list[tuple[float, ...]],
    setting: tuple[int, int, int],
    mirrored: bool,
) -> None:
    scale = BoxScale(*setting)
    width, height = size
    boxes = np.array(shares) * [width, height, width, height]
    shown = flip_boxes(boxes, width) if mirrored else boxes
    bins = scale.to_bins(shown, size)
    assert bins.min() >= 0 and bins.max() <= scale.last_bin
    back = scale.to_pixels(bins, size)
    back = flip_boxes(back, width) if mirrored else back
    half_bin = setting[1] / (setting[2] - 1) / 2
    limit = half_bin * np.array([width, height] * 2) / scale.side
    assert (np.abs(back - boxes) <= limit + 1e-6).all()
    tokens = torch.tensor([BIN, BIN, BIN + 1, BIN + 1]).tolist()
    (named,) = named_boxes(split_answer(tokens, [0.0] * 4, VOCAB), ["x"], scale, size)
    assert named.tag == "1.000000" and named.corners[0] == 0


@pytest.mark.parametrize(
    "tokens", [[], [EOS], [4, BIN], [BIN] * 3, [BIN] * 5, [BIN] * 4 + [4, BIN, BIN]]
)
def test_other_sequences_are_refused(tokens: list[int]) -> None:
    with pytest.raises(ValueError, match="must begin with a bin|expected four bins"):
        split_answer(tokens, [0.0] * len(tokens), VOCAB)
