"""Which tokens may follow in an answer of boxes."""

from __future__ import annotations

import math
import runpy
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

from biomedgpt_fairseq.decoding.box_grammar import BoxGrammar, BoxRules
from biomedgpt_fairseq.decoding.constraints import Constraints
from biomedgpt_fairseq.decoding.fairseq_generator import build_generator
from biomedgpt_fairseq.decoding.rows import Rows
from biomedgpt_fairseq.text.trie import AnswerTrie

stub = runpy.run_path(str(Path(__file__).parent / "stub_decoder.py"))
VOCAB = stub["make_vocab"](num_words=4, num_bins=6)  # words 4..7, <mask> 8, bins 9..14
BIN, EOS, V = 9, 2, 15
NAMES = AnswerTrie([[4, EOS], [4, 5, EOS], [6, 7, EOS]])
RULES = BoxRules((BIN, BIN + 4), NAMES)  # the last bin lies outside of the picture


def follow(rules: BoxRules, tokens: list[int], max_len: int = 30) -> BoxGrammar:
    """The grammar behind these tokens of a single hypothesis."""
    grammar = BoxGrammar(rules, num_specials=4, max_len=max_len)
    for length in range(len(tokens) + 1):
        grammar.advance(rows_of(tokens[:length]))
    return grammar


def rows_of(tokens: list[int], columns: Any = None) -> Rows:
    parent = torch.tensor([0]) if tokens else None
    return Rows(torch.tensor([[0, *tokens]]), torch.tensor([0]), parent, columns)


def allowed(rules: BoxRules, tokens: list[int], max_len: int = 30) -> list[int]:
    grammar = follow(rules, tokens, max_len)
    scores = grammar(rows_of(tokens), torch.zeros(1, V))
    found = [i for i, score in enumerate(scores[0].tolist()) if score > -math.inf]
    columns = grammar.columns(rows_of(tokens))
    # The fast path leaves no allowed id out, and allows the same.
    narrow = grammar(rows_of(tokens, columns), torch.zeros(1, len(columns)))
    assert columns[narrow[0] > -math.inf].tolist() == found
    assert columns[:4].tolist() == [0, 1, 2, 3] and columns.diff().gt(0).all()
    return found


def test_box_comes_first_and_its_second_corner_is_not_before_the_first() -> None:
    bins = list(range(BIN, BIN + 5))
    assert allowed(RULES, []) == bins
    assert allowed(RULES, [BIN + 3]) == bins
    assert allowed(RULES, [BIN + 3, BIN + 1]) == bins[3:]
    assert allowed(RULES, [BIN + 3, BIN + 1, BIN + 4]) == bins[1:]


def test_name_is_one_of_the_known_and_then_there_is_a_choice() -> None:
    box, bins = [BIN, BIN, BIN + 2, BIN + 2], list(range(BIN, BIN + 5))
    assert allowed(RULES, box) == [4, 6]
    assert allowed(RULES, [*box, 4]) == [EOS, 5, *bins]
    assert allowed(RULES, [*box, 6]) == [7]
    assert allowed(RULES, [*box, 4, 5]) == [EOS, *bins]
    assert allowed(RULES, [*box, 4, *box]) == [4, 6]
    assert allowed(RULES, [*box, 4, BIN + 3, BIN + 2]) == bins[3:]


def test_no_object_begins_that_may_not_fit() -> None:
    box = [BIN, BIN, BIN + 2, BIN + 2]
    assert BIN in allowed(RULES, [*box, 4], max_len=11)
    assert allowed(RULES, [*box, 4], max_len=10) == [EOS, 5]
    with pytest.raises(ValueError, match=r"max_len_b must leave room .*\(6 tokens\), found 5"):
        BoxGrammar(RULES, 4, max_len=5)


def test_region_is_one_box_without_name() -> None:
    rules = BoxRules((BIN, BIN + 4))
    box = [BIN, BIN, BIN + 2, BIN + 2]
    assert allowed(rules, box[:3]) == list(range(BIN, BIN + 5))
    assert allowed(rules, box, max_len=4) == [EOS]
    assert follow(rules, box, max_len=4).is_decided(rows_of(box, torch.arange(V)))


def test_rest_of_a_name_is_decided_without_the_model() -> None:
    box = [BIN, BIN, BIN + 2, BIN + 2]
    assert follow(RULES, [*box, 6]).is_decided(rows_of([*box, 6], torch.arange(V)))
    for tokens in ([], box, [*box, 4], [*box, 4, 5]):
        assert not follow(RULES, tokens).is_decided(rows_of(tokens, torch.arange(V)))


def test_few_logits_are_computed() -> None:
    decoder = stub["StubDecoder"](V)
    generator = build_generator(VOCAB, Namespace(beam=2, max_len_b=12), boxes=RULES)
    generator.generate([decoder], {"net_input": stub["net_input"]([0, 5, 2])})
    assert max(decoder.widths) < V and 4 + 2 in decoder.widths  # specials and first words of names


def test_prompts_and_other_rules_are_refused() -> None:
    generator = build_generator(VOCAB, Namespace(), boxes=RULES)
    sample = {"net_input": stub["net_input"]([0, 5, 2])}
    with pytest.raises(ValueError, match="take no decoder prompt"):
        generator.generate([stub["StubDecoder"](V)], sample, prefix_tokens=torch.tensor([[4]]))
    with pytest.raises(ValueError, match="exclude each other"):
        Constraints(trie=NAMES, boxes=RULES)
