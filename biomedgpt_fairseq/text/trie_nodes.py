"""Checks answer sequences and lays out the nodes of their trie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_NAMED_IN_ERRORS = 5


class Nodes(NamedTuple):
    """Nodes in breadth-first order, siblings sorted by token; node 0 is the root."""

    token: npt.NDArray[np.int64]  # (N,) token on the edge into the node, -1 at the root
    parent: npt.NDArray[np.int64]  # (N,) -1 at the root
    depth: npt.NDArray[np.int64]  # (N,)
    leaf: npt.NDArray[np.int64]  # (K,) last node of each sequence


class Labels:
    """Names answers in error messages."""

    def __init__(self, sequences: Sequence[Sequence[int]], names: Sequence[str] | None) -> None:
        if names is not None and len(names) != len(sequences):
            raise ValueError(
                f"names must match the sequences, found {len(names)} names "
                f"for {len(sequences)} sequences"
            )
        self._sequences = sequences
        self._names = names

    def __call__(self, indices: Iterable[int]) -> str:
        """`3 ('yes'), 7 ('no')` with names, else `3 (tokens [4420, 2]), ...`; the first few."""
        listed = [int(i) for i in indices]
        shown = ", ".join(self._one(i) for i in listed[:_NAMED_IN_ERRORS])
        more = len(listed) - _NAMED_IN_ERRORS
        return f"{shown} and {more} more" if more > 0 else shown

    def _one(self, index: int) -> str:
        if self._names is not None:
            return f"{index} ({self._names[index]!r})"
        return f"{index} (tokens {list(self._sequences[index][:8])})"


def check_sequences(sequences: Sequence[Sequence[int]], eos: int, label: Labels) -> None:
    """Raises ValueError, naming the answers, unless each is non-empty and ends in its only eos."""
    if not sequences:
        raise ValueError("the answer set must hold at least one answer, found none")
    empty = [i for i, sequence in enumerate(sequences) if not sequence or list(sequence) == [eos]]
    if empty:
        raise ValueError(f"answers must not be empty, found empty answers {label(empty)}")
    flat, ends = _flatten(sequences)
    owner = np.repeat(np.arange(len(sequences)), np.diff(ends, prepend=0))  # (M,)
    negative = np.unique(owner[flat < 0])
    if len(negative):
        raise ValueError(f"token ids must not be negative, found them in answers {label(negative)}")
    unfinished = np.flatnonzero(flat[ends - 1] != eos)
    if len(unfinished):
        raise ValueError(
            f"answers must end in eos (id {eos}), which is missing in {label(unfinished)}"
        )
    inside = flat == eos
    inside[ends - 1] = False
    if inside.any():
        raise ValueError(
            f"answers must hold eos (id {eos}) at the end only, found it earlier in "
            f"{label(np.unique(owner[inside]))}"
        )


def check_unique(leaf: npt.NDArray[np.int64], label: Labels) -> None:
    """Raises ValueError, naming the answers, when two of them end in the same node.  leaf: (K,)."""
    order = np.argsort(leaf, kind="stable")
    again = np.flatnonzero(leaf[order][1:] == leaf[order][:-1])
    if len(again):
        pairs = np.stack([order[again], order[again + 1]], axis=1)
        raise ValueError(
            "answers must differ in their tokens, found the same tokens in answers "
            + "; ".join(label(pair) for pair in pairs[:_NAMED_IN_ERRORS])
            + "; remove one of each"
        )


def _flatten(
    sequences: Sequence[Sequence[int]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All tokens in a row (M,) and the exclusive end of each sequence (K,)."""
    ends = np.cumsum([len(sequence) for sequence in sequences], dtype=np.int64)
    flat = np.fromiter(chain.from_iterable(sequences), dtype=np.int64, count=int(ends[-1]))
    return flat, ends


def build_nodes(sequences: Sequence[Sequence[int]]) -> Nodes:
    """Grows the tree one level at a time; each level is one sort of (parent, token) pairs."""
    flat, ends = _flatten(sequences)
    lengths = np.diff(ends, prepend=0)
    starts = ends - lengths
    base = int(flat.max()) + 1
    node = np.zeros(len(sequences), dtype=np.int64)  # (K,) where each sequence stands
    tokens, parents, depths = [np.array([-1])], [np.array([-1])], [np.array([0])]
    num_nodes = 1
    for depth in range(int(lengths.max())):
        active = np.flatnonzero(lengths > depth)
        pairs = node[active] * base + flat[starts[active] + depth]
        edges, position = np.unique(pairs, return_inverse=True)
        node[active] = num_nodes + position
        parents.append(edges // base)
        tokens.append(edges % base)
        depths.append(np.full(len(edges), depth + 1))
        num_nodes += len(edges)
    return Nodes(np.concatenate(tokens), np.concatenate(parents), np.concatenate(depths), node)
