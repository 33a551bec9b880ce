"""The answer trie equals a search through the list of answers, for random answer sets."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from biomedgpt_fairseq.text.trie import AnswerTrie

VOCAB_SIZE = 9
TOKENS = st.integers(3, VOCAB_SIZE - 1)
ANSWER_SETS = st.lists(
    st.lists(TOKENS, min_size=1, max_size=5).map(lambda tokens: [*tokens, 2]),
    min_size=1,
    max_size=12,
    unique_by=tuple,
)
PREFIXES = st.lists(st.lists(st.integers(0, VOCAB_SIZE - 1), max_size=5), min_size=1, max_size=8)


def continuations(answers: list[list[int]], prefix: list[int]) -> list[int]:
    """Tokens that follow the prefix in some answer, by brute force."""
    n = len(prefix)
    return sorted({a[n] for a in answers if len(a) > n and a[:n] == prefix})


@given(ANSWER_SETS)
def test_every_answer_is_a_path_to_its_index(answers: list[list[int]]) -> None:
    trie = AnswerTrie(answers)

    for index, answer in enumerate(answers):
        node = trie.walk(answer)
        assert int(trie.answer[node]) == index
        assert int(trie.leaf[index]) == node
        assert int(trie.depth[node]) == len(answer)
        expected = [continuations(answers, answer[:k]) for k in range(len(answer))]
        assert trie.allowed_per_step(answer) == expected


@given(ANSWER_SETS)
def test_every_node_leads_to_an_answer(answers: list[list[int]]) -> None:
    trie = AnswerTrie(answers)

    for node in range(len(trie)):
        assert bool(trie.children(node)) != (int(trie.answer[node]) >= 0)
        start, end = trie.child_start[node : node + 2].tolist()
        assert trie.child_token[start:end].tolist() == trie.children(node)
        assert trie.parent[trie.child_node[start:end]].tolist() == [node] * (end - start)


@given(ANSWER_SETS, PREFIXES)
def test_vectorised_steps_equal_brute_force(
    answers: list[list[int]], prefixes: list[list[int]]
) -> None:
    trie = AnswerTrie(answers)
    nodes = torch.zeros(len(prefixes), dtype=torch.long)
    for step in range(5):
        active = torch.tensor([len(prefix) > step for prefix in prefixes])
        tokens = torch.tensor([p[step] if len(p) > step else 0 for p in prefixes])
        nodes = torch.where(active, trie.advance(nodes, tokens), nodes)

    row, token = trie.next_tokens(nodes)

    for i, (prefix, node) in enumerate(zip(prefixes, nodes.tolist(), strict=True)):
        assert node == trie.walk(prefix)
        assert token[row == i].tolist() == continuations(answers, prefix)
