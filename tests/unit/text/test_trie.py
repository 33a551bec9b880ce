"""The answer trie on small answer sets, with expected nodes written out."""

import time

import numpy as np
import pytest
import torch

from biomedgpt_fairseq.text.tokenizer import Tokenizer
from biomedgpt_fairseq.text.trie import AnswerTrie, build_answer_trie

# Breadth-first: 0 root; 1 = [5], 2 = [7]; 3 = [5,2], 4 = [5,9], 5 = [7,8]; 6 = [5,9,2], 7 = [7,8,2]
SEQUENCES = [[7, 8, 2], [5, 2], [5, 9, 2]]


@pytest.fixture
def trie() -> AnswerTrie:
    return AnswerTrie(SEQUENCES)


def test_nodes_are_breadth_first_and_sorted(trie: AnswerTrie) -> None:
    assert trie.token.tolist() == [-1, 5, 7, 2, 9, 8, 2, 2]
    assert trie.parent.tolist() == [-1, 0, 0, 1, 1, 2, 4, 5]
    assert trie.depth.tolist() == [0, 1, 1, 2, 2, 2, 3, 3]
    assert trie.answer.tolist() == [-1, -1, -1, 1, -1, -1, 2, 0]
    assert trie.leaf.tolist() == [7, 3, 6]
    assert trie.child_start.tolist() == [0, 2, 4, 5, 5, 6, 7, 7, 7]
    assert trie.child_token.tolist() == [5, 7, 2, 9, 8, 2, 2]
    assert trie.child_node.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert (len(trie), trie.num_answers, trie.sequences) == (8, 3, SEQUENCES)


def test_children_are_the_next_tokens(trie: AnswerTrie) -> None:
    assert trie.children(0) == [5, 7]
    assert trie.children(1) == [2, 9]
    assert trie.children(3) == []
    assert trie.children(-1) == []


def test_walk_follows_a_prefix(trie: AnswerTrie) -> None:
    assert trie.walk([]) == 0
    assert trie.walk([5, 9]) == 4
    assert trie.walk([7, 8, 2]) == 7
    assert trie.walk([5, 8]) == -1
    assert trie.walk([5, 8, 2]) == -1
    assert trie.walk([7, 8, 2, 2]) == -1


def test_contains_wants_whole_answers(trie: AnswerTrie) -> None:
    assert trie.contains([5, 2]) and trie.contains([5, 9, 2])
    assert not trie.contains([5]) and not trie.contains([5, 9]) and not trie.contains([6, 2])


def test_advance_leaves_and_stays_off_the_trie(trie: AnswerTrie) -> None:
    nodes = torch.tensor([0, 0, 1, 4, 3, -1, 2, 0, 0])
    tokens = torch.tensor([5, 6, 9, 2, 2, 5, 8, 59456, -1])

    assert trie.advance(nodes, tokens).tolist() == [1, -1, 4, 6, -1, -1, 5, -1, -1]


def test_next_tokens_are_the_children_of_each_node(trie: AnswerTrie) -> None:
    row, token = trie.next_tokens(torch.tensor([1, 7, -1, 0, 1]))

    assert row.tolist() == [0, 0, 3, 3, 4, 4]
    assert token.tolist() == [2, 9, 5, 7, 2, 9]


def test_no_nodes_have_no_next_tokens(trie: AnswerTrie) -> None:
    row, token = trie.next_tokens(torch.empty(0, dtype=torch.long))
    assert row.shape == token.shape == (0,)


def test_smaller_vocabulary_is_refused(trie: AnswerTrie) -> None:
    trie.check_vocabulary(10)
    with pytest.raises(ValueError, match=r"largest id of an answer \(9\), found 9"):
        trie.check_vocabulary(9)


def test_allowed_per_step_lists_children_along_the_answer(trie: AnswerTrie) -> None:
    assert trie.allowed_per_step([5, 9, 2]) == [[5, 7], [2, 9], [2]]
    assert trie.allowed_per_step([7, 2]) == [[5, 7], [8]]  # cut short: still on the trie


def test_allowed_per_step_off_the_trie_is_eos(trie: AnswerTrie) -> None:
    assert trie.allowed_per_step([6, 9, 2]) == [[5, 7], [2], [2]]


def test_to_moves_tensors_and_shares_lists(trie: AnswerTrie) -> None:
    moved = trie.to("meta")

    assert moved.child_token.device.type == "meta"
    assert trie.child_token.device.type == "cpu"
    assert moved.sequences is trie.sequences


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_trie_on_the_device_equals_cpu(trie: AnswerTrie) -> None:
    nodes, tokens = torch.tensor([0, 1, -1, 4]), torch.tensor([5, 9, 5, 7])
    moved = trie.to("cuda")

    assert moved.advance(nodes.cuda(), tokens.cuda()).cpu().equal(trie.advance(nodes, tokens))
    for ours, expected in zip(
        moved.next_tokens(nodes.cuda()), trie.next_tokens(nodes), strict=True
    ):
        assert ours.cpu().equal(expected)


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ([], "at least one answer"),
        ([[5, 2], []], r"empty answers 1 \(tokens \[\]\)"),
        ([[2], [5, 2]], r"empty answers 0 \(tokens \[2\]\)"),
        ([[5, 2], [6, 2], [5, 2]], r"0 \(tokens \[5, 2\]\), 2 \(tokens \[5, 2\]\)"),
        ([[5, 2], [5, 9]], r"must end in eos \(id 2\), which is missing in 1 "),
        ([[5, 2], [5, 2, 9, 2]], r"at the end only, found it earlier in 1 "),
        ([[5, 2], [-7, 2]], "must not be negative, found them in answers 1 "),
    ],
)
def test_bad_answer_sets_are_refused(sequences: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AnswerTrie(sequences)


def test_errors_use_the_names_of_answers() -> None:
    with pytest.raises(ValueError, match=r"0 \('yes'\), 1 \('Yes'\); remove one"):
        AnswerTrie([[5, 2], [5, 2]], names=["yes", "Yes"])
    with pytest.raises(ValueError, match="1 names for 2 sequences"):
        AnswerTrie([[5, 2], [6, 2]], names=["yes"])


def test_long_error_lists_are_cut() -> None:
    with pytest.raises(ValueError, match="and 4 more"):
        AnswerTrie([[]] * 9)


def test_build_encodes_answers_with_leading_space(small: Tokenizer) -> None:
    trie = build_answer_trie(small, ["yes", "y"])

    assert trie.sequences == [[260, 261, 2], [260, 2]]


def test_build_refuses_blank_and_repeated_answers(small: Tokenizer) -> None:
    with pytest.raises(ValueError, match=r"blank answers at positions \[1\]"):
        build_answer_trie(small, ["yes", " "])
    with pytest.raises(ValueError, match=r"0 \('yes'\), 1 \('yes'\)"):
        build_answer_trie(small, ["yes", "yes"])


def test_hundred_thousand_answers_are_built_quickly() -> None:
    draws = np.random.default_rng(0).integers(4, 2000, size=(100_000, 6))
    sequences = [[*row, 2] for row in np.unique(draws, axis=0).tolist()]

    started = time.process_time()
    trie = AnswerTrie(sequences)
    seconds = time.process_time() - started

    assert trie.num_answers > 99_000
    assert seconds < 3.0  # about 0.5 s on one idle core; the rest is room for busy machines
