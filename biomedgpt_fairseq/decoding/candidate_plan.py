"""Which decoder inputs give the scores of all answers of a trie, each computed once.

Only nodes with several children matter: elsewhere the one allowed token has probability 1.  The
states behind the inner nodes of a path come with the path itself, so the deepest such nodes carry
all the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from biomedgpt_fairseq.text.trie import AnswerTrie


class PathChunk(NamedTuple):
    """Some paths and the edges whose probabilities they give.

    paths: (n, D) int64, tokens from the root, padded by pad; D may be 0.
    edge: (M,) edge numbers of the trie, those of one node adjacent.
    path, depth: (M,) on which path, and behind how many of its tokens, the edge's origin lies.
    """

    paths: Tensor
    edge: Tensor
    path: Tensor
    depth: Tensor


def plan_chunks(trie: AnswerTrie, size: int, pad: int) -> Iterator[PathChunk]:
    """All edges below branching nodes, `size` paths at a time, short paths first."""
    owner = _owners(trie)  # (N,)
    carriers = torch.nonzero(owner == torch.arange(len(trie), device=owner.device)).flatten()
    carriers = carriers[trie.depth[carriers].sort(stable=True).indices]
    origin = trie.parent[1:]  # (E,): edge e leads to node e + 1
    edges = torch.nonzero(owner[origin] >= 0).flatten()
    place = torch.full_like(trie.parent, -1)
    place[carriers] = torch.arange(len(carriers), device=carriers.device)
    # Sorted by path, so that the edges of a chunk are a slice; those of a node stay together.
    edges = edges[place[owner[origin[edges]]].sort(stable=True).indices]
    path_of_edge = place[owner[origin[edges]]]
    starts = torch.arange(0, len(carriers), size, device=carriers.device)
    bounds = torch.searchsorted(path_of_edge, torch.cat([starts, starts.new_tensor([1 << 62])]))
    limits: list[int] = bounds.tolist()
    for i, (first, last) in enumerate(zip(limits, limits[1:], strict=False)):
        edge = edges[first:last]
        yield PathChunk(
            paths=_paths(trie, carriers[i * size : (i + 1) * size], pad),
            edge=edge,
            path=path_of_edge[first:last] - i * size,
            depth=trie.depth[origin[edge]],
        )


def sum_paths(trie: AnswerTrie, edge_scores: Tensor) -> Tensor:
    """Scores of whole answers: (B, E) of edges -> (B, K)."""
    total = edge_scores.new_zeros(edge_scores.size(0), trie.num_answers)
    node = trie.leaf  # (K,)
    for _ in range(int(trie.depth.max())):
        alive = node > 0
        total += torch.where(alive, edge_scores[:, (node - 1).clamp(min=0)], 0.0)
        node = torch.where(alive, trie.parent[node], 0)
    return total


def _owners(trie: AnswerTrie) -> Tensor:
    """For each branching node the deepest one that is reached through it; -1 for the others."""
    children = trie.child_start.diff()  # (N,)
    owner = torch.full_like(trie.parent, -1)
    below = owner.clone()
    """Branching node at or below a node, -1: none."""
    for depth in range(int(trie.depth.max()), -1, -1):
        nodes = torch.nonzero(trie.depth == depth).flatten()
        branching = nodes[children[nodes] > 1]
        owner[branching] = torch.where(below[branching] >= 0, below[branching], branching)
        below[branching] = owner[branching]
        found = nodes[below[nodes] >= 0]
        if depth > 0:
            # Any child will do, but one rule for all devices: the highest number.
            below.scatter_reduce_(0, trie.parent[found], below[found], "amax")
    return owner


def _paths(trie: AnswerTrie, nodes: Tensor, pad: int) -> Tensor:
    """Tokens from the root to each node: (n,) -> (n, D), right-padded."""
    depth = trie.depth[nodes]
    longest = int(depth.max()) if len(nodes) else 0
    paths = torch.full((len(nodes), longest), pad, device=nodes.device)
    for column in range(longest - 1, -1, -1):
        on_path = depth > column
        paths[:, column] = torch.where(on_path, trie.token[nodes], pad)
        nodes = torch.where(on_path, trie.parent[nodes], nodes)
    return paths
