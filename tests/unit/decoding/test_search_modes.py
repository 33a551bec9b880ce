"""Sampling and diverse searches, whole."""

from __future__ import annotations

import runpy
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from biomedgpt_fairseq.decoding.fairseq_generator import build_generator
from biomedgpt_fairseq.text.trie import AnswerTrie

stub = runpy.run_path(str(Path(__file__).with_name("stub_decoder.py")))
StubDecoder, score_sequence = stub["StubDecoder"], stub["score_sequence"]
VOCAB = stub["make_vocab"](num_words=30)
SOURCES = ([0, 4, 2], [0, 5, 6, 7, 2])
SAMPLE = {"net_input": stub["net_input"](*SOURCES)}
ANSWERS = [[4, 2], [5, 4, 2], [5, 6, 7, 2], [4, 4, 2]]


def generate(trie: AnswerTrie | None = None, **options: Any) -> list[list[list[int]]]:
    generator = build_generator(VOCAB, Namespace(max_len_b=5, **options), trie=trie)
    found = generator.generate([StubDecoder(len(VOCAB))], SAMPLE)
    return [[h["tokens"].tolist() for h in ranked] for ranked in found]


@pytest.mark.parametrize("choice", [{}, {"sampling_topk": 3}, {"sampling_topp": 0.8}])
def test_sampled_hypotheses_have_their_own_scores(choice: dict[str, Any]) -> None:
    decoder = StubDecoder(len(VOCAB))
    args = Namespace(sampling=True, sampling_seed=3, beam=6, max_len_b=5, **choice)
    found = build_generator(VOCAB, args).generate([decoder], SAMPLE)

    for source, ranked in zip(SOURCES, found, strict=True):
        assert len(ranked) == 6
        assert len({tuple(h["tokens"].tolist()) for h in ranked}) > 1
        for h in ranked:
            expected = score_sequence(decoder, source, h["tokens"].tolist())
            assert h["positional_scores"].tolist() == pytest.approx(expected, abs=1e-5)


def test_seed_repeats_a_run_but_not_a_batch() -> None:
    def two_batches() -> list[Any]:
        args = Namespace(sampling=True, sampling_seed=3, beam=4, max_len_b=5)
        generator = build_generator(VOCAB, args)
        decoder = StubDecoder(len(VOCAB))
        return [
            [
                [h["tokens"].tolist() for h in ranked]
                for ranked in generator.generate([decoder], SAMPLE)
            ]
            for _ in range(2)
        ]

    first, second = two_batches()
    assert first != second
    assert two_batches() == [first, second]


def test_sampling_stays_on_the_trie() -> None:
    found = generate(trie=AnswerTrie(ANSWERS), sampling=True, beam=8, sampling_seed=0)

    assert all(tokens in ANSWERS for ranked in found for tokens in ranked)


def test_diverse_groups_start_differently() -> None:
    plain = generate(beam=4)
    diverse = generate(beam=4, diverse_beam_groups=4, diverse_beam_strength=100.0)

    for ranked in diverse:
        assert len({tokens[0] for tokens in ranked}) == len(ranked) == 4
    assert diverse != plain


def test_one_group_is_plain_beam_search() -> None:
    assert generate(beam=4, diverse_beam_groups=1) == generate(beam=4)


def test_diverse_groups_finish_when_the_trie_has_fewer_answers() -> None:
    found = generate(trie=AnswerTrie(ANSWERS), beam=12, diverse_beam_groups=2)

    assert all(len(ranked) == 8 for ranked in found)  # each group finds all four


def test_tiny_diversity_rate_is_plain_beam_search_and_a_large_one_is_not() -> None:
    assert generate(beam=4, diversity_rate=1e-9) == generate(beam=4)
    assert generate(beam=4, diversity_rate=50.0) != generate(beam=4)
