"""All-candidate scores: what is computed, what is refused."""

from __future__ import annotations

import math
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from biomedgpt_fairseq.decoding import all_candidates
from biomedgpt_fairseq.decoding.all_candidates import score_candidates
from biomedgpt_fairseq.decoding.candidate_plan import plan_chunks
from biomedgpt_fairseq.text.trie import AnswerTrie

stub = runpy.run_path(str(Path(__file__).with_name("stub_decoder.py")))
StubDecoder, net_input = stub["StubDecoder"], stub["net_input"]
SOURCES = ([0, 4, 2], [0, 5, 6, 7, 2])
BOS_ONLY = [[0], [0]]


def score(answers: list[list[int]], decoder: Any, chunk: int = 10) -> torch.Tensor:
    return score_candidates([decoder], net_input(*SOURCES), BOS_ONLY, AnswerTrie(answers), chunk)


def test_single_token_answers_need_one_decoder_input_per_sample() -> None:
    decoder = StubDecoder(9)
    scores = score([[6, 2], [4, 2], [8, 2]], decoder)

    assert decoder.rows_decoded == 2
    for row, source in zip(scores, SOURCES, strict=True):
        expected = decoder.logits(source, [0])[[6, 4, 8]].log_softmax(0)
        torch.testing.assert_close(row, expected)


def test_one_answer_is_certain() -> None:
    decoder = StubDecoder(9)
    assert score([[6, 5, 2]], decoder).tolist() == [[0.0], [0.0]]
    assert decoder.rows_decoded == 0


def test_answer_that_begins_another_competes_at_its_end() -> None:
    decoder = StubDecoder(9)
    scores = score([[5, 2], [5, 6, 2]], decoder)

    for row, source in zip(scores, SOURCES, strict=True):
        torch.testing.assert_close(row, decoder.logits(source, [0, 5])[[2, 6]].log_softmax(0))


def test_shared_starts_are_decoded_once() -> None:
    # Branching: root, [5], [5 6].
    (chunk,) = plan_chunks(AnswerTrie([[5, 6, 7, 2], [5, 6, 8, 2], [5, 2], [4, 4, 2]]), 9)

    assert chunk.token.tolist() == [5, 6]
    assert chunk.depth.tolist() == [1, 2]
    assert chunk.above.tolist() == [[True, False], [True, True]]
    assert chunk.source.tolist() == [2, 0, 1]  # the root comes first and has no row
    assert chunk.origin.tolist() == [0, 0, 1, 1, 2, 2]
    assert chunk.ids[chunk.column].tolist() == [4, 5, 2, 6, 7, 8]


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_chunks_cover_every_branching_edge_once(size: int) -> None:
    answers = [[a, b, 2] for a in (4, 5, 6, 7) for b in (4, 5, 6)] + [[8, 8, 2]]
    chunks = list(plan_chunks(AnswerTrie(answers), size))

    edges = torch.cat([chunk.edge for chunk in chunks]).tolist()
    assert len(edges) == len(set(edges)) == 5 + 4 * 3
    assert all(len(chunk.token) <= size for chunk in chunks)
    assert sum(len(chunk.token) for chunk in chunks) == 4


def test_scores_do_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_candidates, "MAX_NODES", 1)
    answers = [[a, b, c, 2] for a in (4, 5, 6) for b in (4, 5) for c in (6, 7, 8)]
    whole = score(answers, StubDecoder(9), chunk=100)

    torch.testing.assert_close(score(answers, StubDecoder(9), chunk=1), whole)
    torch.testing.assert_close(score(answers, StubDecoder(9), chunk=4), whole)


def test_extreme_logits_stay_finite() -> None:
    decoder = StubDecoder(9)
    decoder.table[(0,)] = [0.0, 0.0, 0.0, 0.0, 3e4, -3e4, 0.0, 0.0, 0.0]
    scores = score([[4, 2], [5, 2]], decoder)

    assert scores[0].tolist() == [0.0, -6e4]


def test_scores_can_be_computed_on_outside_inference_mode() -> None:
    scores = score([[4, 2], [5, 2]], StubDecoder(9))
    scores.add_(math.pi)
    assert not scores.is_inference()


@pytest.mark.parametrize(
    ("prompts", "chunk", "models", "message"),
    [
        ([[0]], 5, 1, "2 samples, found 1 prompts"),
        ([[0], []], 5, 1, "prompt with at least bos"),
        (BOS_ONLY, 0, 1, "chunk must be at least 1"),
        (BOS_ONLY, 5, 0, "at least one model"),
    ],
)
def test_wrong_arguments_are_explained(
    prompts: list[list[int]], chunk: int, models: int, message: str
) -> None:
    trie = AnswerTrie([[4, 2], [5, 2]])
    with pytest.raises(ValueError, match=message):
        score_candidates([StubDecoder(9)] * models, net_input(*SOURCES), prompts, trie, chunk)
