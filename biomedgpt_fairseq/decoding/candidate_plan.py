"""Which nodes of a trie must be decoded for the scores of all its answers, in chunks.

Only branching nodes matter: elsewhere the one allowed token has probability 1.  They and the nodes
above them are decoded, each behind its parent, so that a shared start is computed once per chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from biomedgpt_fairseq.text.trie import AnswerTrie


class TreeChunk(NamedTuple):
    """Nodes that are decoded together, and the edges whose probabilities they give.

    token, depth: (M,) of each node, the root not among them.
    above: (M, M) bool, whether the second is the first or lies above it.
    source: (N,) branching nodes of the chunk, in [0, M); M stands for the root.
    edge: (E',) edge numbers of the trie, those of one node adjacent.
    origin: (E',) which of the N each edge leaves, ascending.
    ids: (U,) the token ids on these edges; column: (E',) which of them each edge has.
    """

    token: Tensor
    depth: Tensor
    above: Tensor
    source: Tensor
    edge: Tensor
    origin: Tensor
    ids: Tensor
    column: Tensor


def plan_chunks(trie: AnswerTrie, size: int) -> Iterator[TreeChunk]:
    """All edges below branching nodes, about `size` nodes at a time; trie: on the host.

    A chunk is larger only by the nodes above its last branching node.
    """
    branching = np.flatnonzero(trie.child_start.diff().numpy() > 1)
    paths = _paths(trie.parent.numpy(), branching, int(trie.depth.max()))  # (C, D)
    for chunk in _split(paths, size):
        yield _chunk(trie, paths[chunk])


def sum_paths(trie: AnswerTrie, edge_scores: Tensor) -> Tensor:
    """Scores of whole answers: (B, E) of edges -> (B, K)."""
    total = edge_scores.new_zeros(edge_scores.size(0), trie.num_answers)
    node = trie.leaf  # (K,)
    for _ in range(int(trie.depth.max())):
        alive = node > 0
        total += torch.where(alive, edge_scores[:, (node - 1).clamp(min=0)], 0.0)
        node = torch.where(alive, trie.parent[node], 0)
    return total


def _chunk(trie: AnswerTrie, paths: np.ndarray) -> TreeChunk:
    nodes = np.unique(paths[paths > 0])  # breadth-first numbers
    row = np.full(len(trie), len(nodes))  # the root's row is behind the last
    row[nodes] = np.arange(len(nodes))
    parent_row = np.append(row[trie.parent.numpy()[nodes]], len(nodes))
    above = np.zeros((len(nodes), len(nodes) + 1), dtype=bool)
    at = np.arange(len(nodes))
    for _ in range(paths.shape[1]):
        above[np.arange(len(nodes)), at] = True
        at = parent_row[at]
    branching = np.sort(paths.max(1))  # a node's number is above those of its path
    first, last = (trie.child_start.numpy()[branching + i] for i in (0, 1))
    origin = np.repeat(np.arange(len(branching)), last - first)
    edge = np.concatenate([np.arange(*ends) for ends in zip(first, last, strict=True)])
    ids, column = np.unique(trie.child_token.numpy()[edge], return_inverse=True)
    token, depth = trie.token.numpy()[nodes], trie.depth.numpy()[nodes]
    arrays = token, depth, above[:, :-1], row[branching], edge, origin, ids, column
    return TreeChunk(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


def _paths(parent: np.ndarray, nodes: np.ndarray, longest: int) -> np.ndarray:
    """Nodes from below the root to each node, in the order of a walk through the tree, so that
    neighbours share their start: (C,) -> (C, D) int64, 0 in front."""
    paths = np.zeros((len(nodes), longest), dtype=np.int64)
    for column in range(longest - 1, -1, -1):
        paths[:, column] = nodes
        nodes = np.where(nodes > 0, parent[nodes], 0)
    starts = _left_aligned(paths)
    return paths[np.lexsort(starts.T[::-1])]


def _left_aligned(paths: np.ndarray) -> np.ndarray:
    order = np.argsort(paths == 0, axis=1, kind="stable")
    return np.take_along_axis(paths, order, axis=1)


def _split(paths: np.ndarray, size: int) -> Iterator[slice]:
    """Runs of paths that hold about `size` nodes of their own."""
    before = np.vstack([np.zeros_like(paths[:1]), paths[:-1]])
    aligned, aligned_before = _left_aligned(paths), _left_aligned(before)
    new = (aligned != aligned_before) & (aligned > 0)
    total = np.cumsum(new.sum(1))
    start = 0
    while start < len(paths):
        done = total[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(total, done + size, side="right")))
        yield slice(start, end)
        start = end
