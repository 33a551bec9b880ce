"""Properties of the search that hold for every decoder, answer set and batch."""

from __future__ import annotations

import runpy
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from biomedgpt_fairseq.decoding.fairseq_generator import build_generator
from biomedgpt_fairseq.decoding.processors import TrieConstraint
from biomedgpt_fairseq.text.trie import AnswerTrie

STUB = Path(__file__).parents[1] / "unit" / "decoding" / "stub_decoder.py"
stub = runpy.run_path(str(STUB))
StubDecoder, net_input, score_sequence = (
    stub["StubDecoder"],
    stub["net_input"],
    stub["score_sequence"],
)
VOCAB = stub["make_vocab"](num_words=8)
BOS, EOS, V = 0, 2, 13

WORDS = st.integers(4, 11)
ANSWER_SETS = st.lists(
    st.lists(WORDS, min_size=1, max_size=4).map(lambda tokens: [*tokens, EOS]),
    min_size=1,
    max_size=9,
    unique_by=tuple,
)
SOURCES = st.lists(
    st.lists(WORDS, max_size=4).map(lambda tokens: [BOS, *tokens, EOS]), min_size=1, max_size=4
)
SEEDS = st.integers(0, 10_000)


def generate(decoder: Any, sources: list[list[int]], **options: Any) -> list[list[dict[str, Any]]]:
    trie, prefix = options.pop("trie", None), options.pop("prefix", None)
    generator = build_generator(VOCAB, Namespace(**options), trie=trie)
    sample = {"net_input": net_input(*sources)}
    return generator.generate([decoder], sample, prefix_tokens=prefix)


def pad_prompts(prompts: list[list[int]]) -> torch.Tensor:
    width = max(map(len, prompts))
    return torch.tensor([[*p, *[1] * (width - len(p))] for p in prompts], dtype=torch.long)


@given(SEEDS, SOURCES, ANSWER_SETS, st.integers(1, 12), st.data())
@settings(max_examples=60, deadline=None)
def test_constrained_hypotheses_are_distinct_answers(
    seed: int, sources: list[list[int]], answers: list[list[int]], beam: int, data: st.DataObject
) -> None:
    trie = AnswerTrie(answers)
    prompts = [data.draw(st.lists(WORDS, max_size=3)) for _ in sources]

    found = generate(
        StubDecoder(V, seed), sources, beam=beam, trie=trie, prefix=pad_prompts(prompts)
    )

    for prompt, ranked in zip(prompts, found, strict=True):
        tokens = [h["tokens"].tolist() for h in ranked]
        assert 1 <= len(tokens) <= min(beam, len(answers))
        assert len({tuple(t) for t in tokens}) == len(tokens)
        for t in tokens:
            assert t[: len(prompt)] == prompt
            assert t[len(prompt) :] in answers


@given(SEEDS, SOURCES, ANSWER_SETS)
@settings(max_examples=60, deadline=None)
def test_full_width_ranks_all_answers_by_their_exact_score(
    seed: int, sources: list[list[int]], answers: list[list[int]]
) -> None:
    decoder, trie = StubDecoder(V, seed), AnswerTrie(answers)

    found = generate(decoder, sources, beam=len(answers), unnormalized=True, trie=trie)

    for source, ranked in zip(sources, found, strict=True):
        assert len(ranked) == len(answers)
        exact = {
            tuple(a): sum(score_sequence(decoder, source, a, lambda t: trie.children(trie.walk(t))))
            for a in answers
        }
        for h in ranked:
            assert float(h["score"]) == pytest.approx(exact[tuple(h["tokens"].tolist())], abs=1e-4)
        scores = [float(h["score"]) for h in ranked]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] == pytest.approx(max(exact.values()), abs=1e-4)


@given(SEEDS, SOURCES, st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_width_one_is_greedy(seed: int, sources: list[list[int]], max_len: int) -> None:
    decoder = StubDecoder(V, seed)

    found = generate(decoder, sources, beam=1, max_len_b=max_len, min_len=0)

    for source, ranked in zip(sources, found, strict=True):
        greedy = [BOS]
        while greedy[-1] != EOS and len(greedy) <= max_len:
            logits = decoder.logits(source, greedy)
            logits[1] = -torch.inf
            greedy.append(int(logits.argmax()))
        expected = greedy[1:] if greedy[-1] == EOS else [*greedy[1:], EOS]
        assert [h["tokens"].tolist() for h in ranked] == [expected]


@given(SEEDS, SOURCES, st.integers(1, 5), st.integers(0, 2), st.booleans(), st.data())
@settings(max_examples=60, deadline=None)
def test_row_of_a_padded_batch_is_a_batch_of_one(
    seed: int,
    sources: list[list[int]],
    beam: int,
    ngram: int,
    constrained: bool,
    data: st.DataObject,
) -> None:
    decoder = StubDecoder(V, seed)
    trie = AnswerTrie(data.draw(ANSWER_SETS)) if constrained else None
    prompts = [data.draw(st.lists(WORDS, min_size=1, max_size=3)) for _ in sources]
    options = {"beam": beam, "max_len_b": 7, "no_repeat_ngram_size": 0 if constrained else ngram}

    together = generate(decoder, sources, trie=trie, prefix=pad_prompts(prompts), **options)

    for source, prompt, ranked in zip(sources, prompts, together, strict=True):
        alone = generate(decoder, [source], trie=trie, prefix=pad_prompts([prompt]), **options)[0]
        assert [h["tokens"].tolist() for h in ranked] == [h["tokens"].tolist() for h in alone]
        assert [float(h["score"]) for h in ranked] == pytest.approx(
            [float(h["score"]) for h in alone], abs=1e-5
        )


@given(SEEDS, SOURCES, ANSWER_SETS, st.integers(1, 6), st.integers(0, 4), st.data())
@settings(max_examples=60, deadline=None)
def test_allowed_columns_give_the_hypotheses_of_the_whole_vocabulary(
    seed: int,
    sources: list[list[int]],
    answers: list[list[int]],
    beam: int,
    min_len: int,
    data: st.DataObject,
) -> None:
    longest = max(map(len, answers)) - 1
    prompts = [data.draw(st.lists(WORDS, max_size=3)) for _ in sources]
    options = {
        "beam": beam,
        "min_len": min(min_len, min(map(len, answers)) - 1),
        "max_len_b": longest + 3,
        "temperature": data.draw(st.sampled_from([1.0, 0.7])),
        "trie": AnswerTrie(answers),
        "prefix": pad_prompts(prompts),
    }
    narrow, wide = StubDecoder(V, seed), StubDecoder(V, seed)

    found = generate(narrow, sources, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrieConstraint, "columns", lambda self, rows: None)
        expected = generate(wide, sources, **options)

    assert set(wide.widths) == {V}
    for ours, theirs in zip(found, expected, strict=True):
        assert [h["tokens"].tolist() for h in ours] == [h["tokens"].tolist() for h in theirs]
        for a, b in zip(ours, theirs, strict=True):
            assert torch.allclose(a["positional_scores"], b["positional_scores"], atol=1e-5)
