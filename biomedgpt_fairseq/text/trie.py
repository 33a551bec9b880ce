"""The answer trie: which tokens may follow a prefix, so that the result is one of the answers."""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from biomedgpt_fairseq.text.tokenizer import Tokenizer
from biomedgpt_fairseq.text.trie_nodes import Labels, build_nodes, check_sequences, check_unique
from biomedgpt_fairseq.text.vocab import Vocabulary

_OFF_TRIE = -1


class NextTokens(NamedTuple):
    """row (M,): places in a list of nodes, ascending; token (M,): tokens that may follow there."""

    row: Tensor
    token: Tensor


class AnswerTrie:
    """Prefix tree of K token sequences, stored as flat int64 tensors.

    sequences: tokens of each answer followed by eos, without bos; position = candidate index.
    names: texts of the answers, used in error messages only.

    N nodes, node 0 the root, in breadth-first order; E = N - 1 edges in the same order:
      token (N,), parent (N,), depth (N,)   edge into a node, its origin, tokens so far (-1, -1, 0)
      child_start (N+1,)                    edges of node n are child_start[n] .. child_start[n+1]
      child_token (E,), child_node (E,)     token (ascending inside a node) and end of an edge
      answer (N,), leaf (K,)                candidate index at an eos node, else -1; its inverse

    Raises ValueError, naming the answers, on an empty set and on sequences that are empty, occur
    twice, do not end in eos or hold eos before the end: a search could not finish or tell them
    apart.
    """

    def __init__(
        self,
        sequences: Sequence[Sequence[int]],
        eos: int = Vocabulary.eos,
        names: Sequence[str] | None = None,
    ) -> None:
        self.sequences = [list(sequence) for sequence in sequences]
        self.num_answers = len(self.sequences)
        self.eos = eos
        label = Labels(self.sequences, names)
        check_sequences(self.sequences, eos, label)
        nodes = build_nodes(self.sequences)
        check_unique(nodes.leaf, label)
        self.token = torch.from_numpy(nodes.token)
        self.parent = torch.from_numpy(nodes.parent)
        self.depth = torch.from_numpy(nodes.depth)
        self.leaf = torch.from_numpy(nodes.leaf)
        num_nodes = len(nodes.token)
        children = np.bincount(nodes.parent[1:], minlength=num_nodes)
        starts = np.concatenate([[0], np.cumsum(children)]).astype(np.int64)
        self.child_start = torch.from_numpy(starts)
        self.child_token = self.token[1:].clone()
        self.child_node = torch.arange(1, num_nodes)
        self.answer = torch.full((num_nodes,), -1).scatter_(
            0, self.leaf, torch.arange(self.num_answers)
        )
        self.max_token = int(nodes.token.max())
        # Ascending, because edges are sorted by parent and then by token: one search finds an edge.
        self._edge_key = self.parent[1:] * (self.max_token + 1) + self.child_token
        self._starts: list[int] = starts.tolist()
        self._tokens: list[int] = nodes.token[1:].tolist()

    def __len__(self) -> int:
        """Number of nodes."""
        return len(self._starts) - 1

    def children(self, node: int) -> list[int]:
        """Token ids that may follow the node, ascending; none after eos and off the trie."""
        if node < 0:
            return []
        return self._tokens[self._starts[node] : self._starts[node + 1]]

    def walk(self, prefix: Sequence[int]) -> int:
        """Node reached from the root by the tokens of the prefix, or -1."""
        node = 0
        for token in prefix:
            node = self._step(node, token)
            if node == _OFF_TRIE:
                break
        return node

    def contains(self, answer: Sequence[int]) -> bool:
        """Whether the tokens, eos included, are one of the answers."""
        node = self.walk(answer)
        return node != _OFF_TRIE and not self.children(node)

    def allowed_per_step(self, answer: Sequence[int]) -> list[list[int]]:
        """Token ids allowed at each position of an answer (eos included), for training.

        From the first token on that leaves the trie, eos alone is allowed, as it was when the
        checkpoints were trained; `contains` tells beforehand.
        """
        allowed = []
        node = 0
        for token in answer:
            allowed.append(self.children(node) if node != _OFF_TRIE else [self.eos])
            node = self._step(node, token)
        return allowed

    def advance(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """Nodes after one more token each.

        nodes, tokens: (N,) int64.  Returns (N,) int64, -1 off the trie; -1 stays -1.
        """
        on_trie = (nodes >= 0) & (tokens >= 0) & (tokens <= self.max_token)
        key = nodes * (self.max_token + 1) + tokens
        edge = torch.searchsorted(self._edge_key, key).clamp_(max=len(self._edge_key) - 1)
        found = on_trie & (self._edge_key[edge] == key)
        return torch.where(found, self.child_node[edge], _OFF_TRIE)

    def check_vocabulary(self, vocab_size: int) -> None:
        """Raises ValueError when an answer holds ids outside the vocabulary."""
        if vocab_size <= self.max_token:
            raise ValueError(
                f"vocab_size must exceed the largest id of an answer ({self.max_token}), "
                f"found {vocab_size}"
            )

    def next_tokens(self, nodes: Tensor) -> NextTokens:
        """The tokens that may follow each node, one after the other; nodes: (N,) int64."""
        start = self.child_start[nodes.clamp(min=0)]  # (N,)
        end = self.child_start[nodes.clamp(min=0) + 1]  # (N,)
        count = torch.where(nodes >= 0, end - start, 0)  # (N,)
        row = torch.repeat_interleave(torch.arange(len(nodes), device=nodes.device), count)  # (M,)
        # Entry j of row r is edge start[r] + (j - entries of the rows before r).
        edge = torch.arange(len(row), device=nodes.device) + (start - count.cumsum(0) + count)[row]
        return NextTokens(row, self.child_token[edge])

    def to(self, device: torch.device | str) -> AnswerTrie:
        """The trie with its tensors on the device; the lists are shared, not copied."""
        moved = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(moved, name, value.to(device))
        return moved

    def _step(self, node: int, token: int) -> int:
        if node < 0:
            return _OFF_TRIE
        end = self._starts[node + 1]
        edge = bisect_left(self._tokens, token, self._starts[node], end)
        # Edge e leads to node e + 1: both are numbered breadth-first.
        return edge + 1 if edge < end and self._tokens[edge] == token else _OFF_TRIE


def build_answer_trie(tokenizer: Tokenizer, answers: Sequence[str]) -> AnswerTrie:
    """Trie of the answers in their order, each encoded with a leading space and ended by eos.

    Raises ValueError, naming the answers, when some are blank or occur twice.
    """
    blank = [i for i, answer in enumerate(answers) if not answer.strip()]
    if blank:
        raise ValueError(f"answers must not be blank, found blank answers at positions {blank[:5]}")
    encoded = tokenizer.encode_batch([" " + answer for answer in answers])
    eos = tokenizer.vocab.eos
    return AnswerTrie([[*tokens, eos] for tokens in encoded], eos=eos, names=answers)
