"""Processors one by one, on rows and scores written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from biomedgpt_fairseq.decoding.constraints import BatchFacts, Constraints, build_processors
from biomedgpt_fairseq.decoding.processors import (
    ExactLength,
    ForcedPrompt,
    LastStep,
    MinimumLength,
    NgramBlock,
    PrefixAllowedTokens,
    RangeConstraint,
    TokenPenalties,
    TrieConstraint,
)
from biomedgpt_fairseq.decoding.rows import Processor, Prompt, Rows
from biomedgpt_fairseq.decoding.settings import GenerationSettings
from biomedgpt_fairseq.text.trie import AnswerTrie
from biomedgpt_fairseq.text.vocab import Vocabulary

OFF = -math.inf
V = 8


def rows(
    *tokens: list[int], sample: list[int] | None = None, parent: list[int] | None = None
) -> Rows:
    return Rows(
        torch.tensor(tokens),
        torch.tensor(sample or list(range(len(tokens)))),
        None if parent is None else torch.tensor(parent),
    )


def zeros(n: int) -> Tensor:
    return torch.zeros(n, V)


def allowed(scores: Tensor) -> list[list[int]]:
    return [[i for i, s in enumerate(row) if s != OFF] for row in scores.tolist()]


def prompt(*tokens: list[int]) -> Prompt:
    return Prompt(torch.tensor(tokens), pad=1, eos=2)


def test_prompt_is_free_from_its_eos_on() -> None:
    p = prompt([5, 6, 2], [7, 2, 1])

    assert p.tokens.tolist() == [[5, 6, 1], [7, 1, 1]]
    assert p.lengths.tolist() == [2, 1]
    assert (p.longest, p.width) == (2, 3)


def test_trie_follows_reordered_hypotheses() -> None:
    trie = TrieConstraint(AnswerTrie([[4, 5, 2], [6, 2], [6, 7, 2]]), 4, None, "logits")

    first = rows([0], [0])
    trie.advance(first)
    assert allowed(trie(first, zeros(2))) == [[4, 6], [4, 6]]
    second = rows([0, 6], [0, 4], parent=[1, 0])
    trie.advance(second)
    assert allowed(trie(second, zeros(2))) == [[2, 7], [5]]
    third = rows([0, 4, 5], [0, 6, 3], parent=[1, 0])
    trie.advance(third)
    assert allowed(trie(third, zeros(2))) == [[2], []]


def test_trie_starts_where_the_prompt_of_the_row_ends() -> None:
    trie = TrieConstraint(AnswerTrie([[4, 5, 2]]), 4, prompt([6, 7], [6, 1]), "logits")
    everything = list(range(V))
    seen = []
    for tokens, parent in (
        ([[0]] * 2, None),
        ([[0, 6], [0, 6]], [0, 1]),
        ([[0, 6, 7], [0, 6, 4]], [0, 1]),
    ):
        now = rows(*tokens, parent=parent)
        trie.advance(now)
        seen.append(allowed(trie(now, zeros(2))))

    assert seen == [[everything, everything], [everything, [4]], [[4], [5]]]


def test_trie_leaves_its_argument_alone() -> None:
    trie = TrieConstraint(AnswerTrie([[4, 2]]), 4, None, "logits")
    scores, now = zeros(1), rows([0])
    trie.advance(now)
    trie(now, scores)

    assert torch.equal(scores, zeros(1))


def test_range_keeps_specials_and_the_forced_token() -> None:
    bounds = RangeConstraint((6, 8), 4, prompt([5], [1]), "logits")

    assert allowed(bounds(rows([0], [0]), zeros(2))) == [[0, 1, 2, 3, 5, 6, 7], [0, 1, 2, 3, 6, 7]]
    later = rows([0, 5], [0, 6])
    assert allowed(bounds(later, zeros(2))) == [[0, 1, 2, 3, 6, 7]] * 2


def test_forced_prompt_keeps_the_models_score() -> None:
    scores = torch.arange(2.0 * V).view(2, V)
    found = ForcedPrompt(prompt([5], [1]))(rows([0], [0]), scores.clone())

    assert found[0].tolist() == [OFF] * 5 + [5.0] + [OFF] * 2
    assert torch.equal(found[1], scores[1])


def test_minimum_length_waits_for_the_prompt_columns() -> None:
    minimum = MinimumLength(3, eos=2, after=1)

    assert allowed(minimum(rows([0]), zeros(1))) == [list(range(V))]
    assert 2 not in allowed(minimum(rows([0, 5]), zeros(1)))[0]
    assert 2 not in allowed(minimum(rows([0, 5, 5]), zeros(1)))[0]
    assert 2 in allowed(minimum(rows([0, 5, 5, 5]), zeros(1)))[0]


def test_penalties_on_pad_unk_and_undefined_scores() -> None:
    scores = torch.tensor([[0.0, 0.0, 0.0, 0.0, math.nan, math.inf, 1.0, 2.0]])

    found = TokenPenalties(pad=1, unk=3, unk_penalty=0.5)(rows([0]), scores)

    assert found.tolist() == [[0.0, OFF, 0.0, -0.5, OFF, math.inf, 1.0, 2.0]]


@pytest.mark.parametrize(("eos_score", "expected"), [(None, 0.0), (1.0, 1.0)])
def test_last_step_leaves_eos_alone(eos_score: float | None, expected: float) -> None:
    last = LastStep(1, eos=2, eos_score=eos_score)

    assert allowed(last(rows([0]), zeros(1))) == [list(range(V))]
    assert last(rows([0, 5]), zeros(1)).tolist() == [[OFF, OFF, expected] + [OFF] * 5]


def test_exact_length_frees_eos_at_the_length_of_the_sample() -> None:
    exact = ExactLength(torch.tensor([2, 1]), eos=2)
    found = exact(rows([0, 5], [0, 5], sample=[0, 1]), zeros(2) - 1)

    assert 2 not in allowed(found)[0]
    assert allowed(found)[1] == [2]
    assert float(found[1, 2]) == 0.0


@pytest.mark.parametrize(
    ("size", "tokens", "banned"),
    [
        (1, [0, 5, 6, 5], {0, 5, 6}),
        (2, [0, 5, 6, 5], {6}),
        (2, [0, 5, 5], {5}),
        (3, [0, 5, 6, 7, 5, 6], {7}),
        (3, [0, 5, 6, 5, 6], {5}),
        (3, [0, 5], set()),
        (3, [0], set()),
        (9, [0, 5, 6], set()),
    ],
)
def test_ngram_block_bans_what_would_repeat(size: int, tokens: list[int], banned: set[int]) -> None:
    found = NgramBlock(size, None)(rows(tokens), zeros(1))

    assert set(range(V)) - set(allowed(found)[0]) == banned


def test_ngram_block_spares_forced_tokens() -> None:
    block = NgramBlock(1, prompt([5, 5], [5, 1]))
    found = block(rows([0, 5], [0, 5]), zeros(2))

    assert allowed(found) == [list(range(V)), [1, 2, 3, 4, 6, 7]]


def test_allowed_tokens_function_is_asked_per_row() -> None:
    asked = []

    def function(sample: int, tokens: Tensor) -> list[int]:
        asked.append((sample, tokens.tolist()))
        return [sample + 4, 2]

    found = PrefixAllowedTokens(function)(rows([0, 5], [0, 6], sample=[3, 1]), zeros(2))

    assert asked == [(3, [0, 5]), (1, [0, 6])]
    assert allowed(found) == [[2, 7], [2, 5]]


def test_processor_without_call_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Processor must define __call__"):
        Processor()(rows([0]), zeros(1))


@pytest.mark.parametrize(("zero_shot", "space"), [(False, "logits"), (True, "lprobs")])
def test_zero_shot_moves_the_trie_behind_the_softmax(zero_shot: bool, space: str) -> None:
    facts = BatchFacts(None, 5, torch.tensor([1]))
    vocab = Vocabulary(["5"], 0, 0)
    constraints = Constraints(trie=AnswerTrie([[4, 2]]))

    built = build_processors(GenerationSettings(), vocab, constraints, facts, zero_shot)

    assert [p.acts_on for p in built if isinstance(p, TrieConstraint)] == [space]


@pytest.mark.parametrize("bounds", [(7, 7), (9, 4), (-1, 4)])
def test_empty_range_is_refused(bounds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="start < end"):
        Constraints(bounds=bounds)
