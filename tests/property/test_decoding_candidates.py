"""All-candidate scores equal forcing each candidate alone, and agree with the beam search."""

from __future__ import annotations

import runpy
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from biomedgpt_fairseq.decoding import all_candidates
from biomedgpt_fairseq.decoding.all_candidates import score_candidates
from biomedgpt_fairseq.decoding.fairseq_generator import build_generator
from biomedgpt_fairseq.text.trie import AnswerTrie

STUB = Path(__file__).parents[1] / "unit" / "decoding" / "stub_decoder.py"
stub = runpy.run_path(str(STUB))
StubDecoder, net_input = stub["StubDecoder"], stub["net_input"]
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
    st.lists(WORDS, max_size=4).map(lambda tokens: [BOS, *tokens, EOS]), min_size=1, max_size=3
)
PROMPTS = st.lists(WORDS, max_size=3).map(lambda tokens: [BOS, *tokens])


def force_alone(
    decoders: list[Any], source: list[int], prompt: list[int], answers: list[list[int]], k: int
) -> float:
    """Sum over the answer's tokens of log-probabilities among what other answers allow."""
    total = 0.0
    answer = answers[k]
    for t, token in enumerate(answer):
        ids = sorted({a[t] for a in answers if len(a) > t and a[:t] == answer[:t]})
        each = []
        for decoder in decoders:
            logits = decoder.logits(source, [*prompt, *answer[:t]]).double()
            each.append(logits[ids].log_softmax(0).exp()[ids.index(token)])
        total += float(torch.stack(each).mean().log())
    return total


@given(st.integers(0, 999), SOURCES, ANSWER_SETS, st.integers(1, 5), st.integers(1, 2), st.data())
@settings(max_examples=60, deadline=None)
def test_scores_equal_each_candidate_forced_alone(
    seed: int,
    sources: list[list[int]],
    answers: list[list[int]],
    chunk: int,
    num_models: int,
    data: st.DataObject,
) -> None:
    decoders = [StubDecoder(V, seed + i) for i in range(num_models)]
    prompts = [data.draw(PROMPTS) for _ in sources]

    # Small chunks only: what memory allows is no part of the result.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(all_candidates, "MAX_NODES", 1)
        trie = AnswerTrie(answers)
        scores = score_candidates(decoders, net_input(*sources), prompts, trie, chunk)

    assert scores.shape == (len(sources), len(answers))
    for row, source, prompt in zip(scores.tolist(), sources, prompts, strict=True):
        expected = [force_alone(decoders, source, prompt, answers, k) for k in range(len(answers))]
        assert row == pytest.approx(expected, abs=1e-4)
    assert [d.encoder_runs for d in decoders] == [1] * num_models
    torch.testing.assert_close(scores.exp().sum(1), torch.ones(len(sources)))


@given(st.integers(0, 999), SOURCES, ANSWER_SETS, st.data())
@settings(max_examples=40, deadline=None)
def test_best_candidate_is_the_best_hypothesis_of_a_full_search(
    seed: int, sources: list[list[int]], answers: list[list[int]], data: st.DataObject
) -> None:
    decoder, trie = StubDecoder(V, seed), AnswerTrie(answers)
    width = data.draw(st.integers(1, 3))
    prompts = [data.draw(st.lists(WORDS, min_size=width, max_size=width)) for _ in sources]
    options = Namespace(beam=len(answers), unnormalized=True)
    sample = {"net_input": net_input(*sources)}

    scores = score_candidates([decoder], sample["net_input"], [[BOS, *p] for p in prompts], trie, 4)
    found = build_generator(VOCAB, options, trie=trie).generate(
        [decoder], sample, prefix_tokens=torch.tensor(prompts)
    )

    for row, ranked in zip(scores, found, strict=True):
        answer = ranked[0]["tokens"][width:].tolist()
        assert float(row[answers.index(answer)]) == pytest.approx(float(row.max()), abs=1e-4)
