"""Answers that are boxes: four bins and a name, again and again, or a single box without name."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from biomedgpt_fairseq.decoding.rows import Processor, Rows
from biomedgpt_fairseq.text.trie import AnswerTrie, NextTokens
from biomedgpt_fairseq.text.vocab import Vocabulary


@dataclass(frozen=True)
class BoxRules:
    """What a sequence of boxes may be.

    bins: ids first .. last of the bins, those behind the edge of the picture left out.
    names: what may be in a box; None: one box and no name.
    """

    bins: tuple[int, int]
    names: AnswerTrie | None = None

    @property
    def longest(self) -> int:
        """Tokens of the longest object."""
        return 4 + (int(self.names.depth.max()) - 1 if self.names is not None else 0)

    def to(self, device: torch.device) -> BoxRules:
        """The rules with the tensors of their trie on the device."""
        if self.names is None or self.names.depth.device == device:
            return self
        return replace(self, names=self.names.to(device))


class BoxGrammar(Processor):
    """Bins x0, y0, x1, y1 with x1 >= x0 and y1 >= y0, a name of the trie, and only then another
    object or eos.  No object begins that might not fit into max_len tokens.
    """

    acts_on = "logits"

    def __init__(self, rules: BoxRules, num_specials: int, max_len: int) -> None:
        if max_len < rules.longest:
            raise ValueError(
                f"max_len_b must leave room for a box and the longest name ({rules.longest} "
                f"tokens), found {max_len}"
            )
        self.rules, self.num_specials, self.max_len = rules, num_specials, max_len
        self.bins: Tensor | None = None  # (N,) bins of the present object
        self.nodes = torch.zeros(0, dtype=torch.long)  # (N,) place in the trie of names
        self.can_end = torch.zeros(0, dtype=torch.bool)  # (nodes,)
        if rules.names is not None:
            trie = rules.names
            self.can_end = torch.zeros(len(trie), dtype=torch.bool, device=trie.parent.device)
            self.can_end[trie.parent[trie.leaf]] = True

    def advance(self, rows: Rows) -> None:
        token = rows.tokens[:, -1]
        if rows.parent is None or self.bins is None:
            self.bins, self.nodes = torch.zeros_like(token), torch.zeros_like(token)
            return
        first, last = self.rules.bins
        is_bin = (token >= first) & (token <= last)
        bins, nodes = self.bins[rows.parent], self.nodes[rows.parent]
        self.bins = torch.where(is_bin, bins % 4 + 1, bins)
        if self.rules.names is not None:
            nodes = self.rules.names.advance(nodes, token)
        self.nodes = torch.where(is_bin, 0, nodes)

    def columns(self, rows: Rows) -> Tensor:
        """Specials, the tokens that names may go on with, and bins if some row may take one."""
        first, last = self.rules.bins
        device = rows.tokens.device
        ids = [torch.arange(self.num_specials, device=device), self._names().token]
        if bool(self._wants_bin(rows).any()):
            ids.append(torch.arange(first, last + 1, device=device))
        columns: Tensor = torch.unique(torch.cat(ids))
        return columns

    def is_decided(self, rows: Rows) -> bool:
        assert self.bins is not None, "advance comes before the first call"
        if self.rules.names is None:
            return bool(self.bins.eq(4).all())
        # A name that can go on in one way only, in all rows.
        row = self._names().row
        return (
            len(row) == len(rows.tokens)
            and bool(row[1:].gt(row[:-1]).all())
            and not bool(self._wants_bin(rows).any())
        )

    def __call__(self, rows: Rows, scores: Tensor) -> Tensor:
        assert self.bins is not None, "advance comes before the first call"
        first, last = self.rules.bins
        ids = rows.columns
        if ids is None:
            ids = torch.arange(scores.size(1), device=scores.device)  # (C,)
        # x1 and y1 come two tokens behind x0 and y0.
        is_second = (self.bins == 2) | (self.bins == 3)  # (N,)
        before = rows.tokens[:, -2] if rows.step >= 2 else torch.full_like(self.bins, first)
        lowest = torch.where(is_second, before, first)
        allowed = (ids >= lowest.unsqueeze(1)) & (ids <= last)  # (N, C)
        allowed &= self._wants_bin(rows).unsqueeze(1)
        row, token = self._names()
        allowed[row, torch.searchsorted(ids, token)] = True
        if self.rules.names is None:
            allowed[:, Vocabulary.eos] = self.bins == 4
        return scores.masked_fill(~allowed, -math.inf)

    def _wants_bin(self, rows: Rows) -> Tensor:
        """(N,) bool: the object is not complete, or another one may begin."""
        assert self.bins is not None, "advance comes before the first call"
        wants = self.bins < 4
        if self.rules.names is not None and rows.step + self.rules.longest <= self.max_len:
            wants = wants | ((self.nodes >= 0) & self.can_end[self.nodes.clamp(min=0)])
        return wants

    def _names(self) -> NextTokens:
        """Tokens, eos among them, with which rows behind four bins may go on."""
        assert self.bins is not None, "advance comes before the first call"
        if self.rules.names is None:
            return NextTokens(self.bins[:0], self.bins[:0])
        return self.rules.names.next_tokens(torch.where(self.bins == 4, self.nodes, -1))
