"""The beam search: a loop around a pure step; it knows no model and no constraint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from biomedgpt_fairseq.decoding.ensemble import NextLprobs
from biomedgpt_fairseq.decoding.rows import Rows
from biomedgpt_fairseq.decoding.steps import Candidates, Step


class NextToken(Protocol):
    """What the loop asks for; `Ensemble` is one."""

    def next_lprobs(self, rows: Rows) -> NextLprobs: ...

    def reorder(self, order: Tensor, step: int) -> None: ...

    def keep_samples(self, kept: Tensor) -> None: ...


@dataclass(frozen=True)
class SearchPlan:
    """Shape of a search.

    width: hypotheses per sample; groups: independent beams of width / groups each.
    max_len: longest hypothesis without eos.  length_penalty: power of the length, eos included,
    by which scores are divided; None: scores are sums.
    """

    step: Step
    width: int
    max_len: int
    bos: int
    pad: int
    eos: int
    groups: int = 1
    length_penalty: float | None = 1.0


@dataclass(frozen=True)
class Hypothesis:
    """tokens (L,) int64 with prompt and eos, without bos; positional_scores (L,): log-probability
    of each; score: their sum, divided by a power of L if the search was told so."""

    tokens: Tensor
    score: float
    positional_scores: Tensor


class _Finished:
    """Hypotheses that reached eos: per sample and group the first w of them."""

    def __init__(self, batch: int, plan: SearchPlan, device: torch.device) -> None:
        self.plan = plan
        self.width = plan.width // plan.groups
        # Slot w takes what is not to be stored, so that storing needs no look at the values.
        slots = (batch, plan.groups, self.width + 1)
        self.tokens = torch.full((*slots, plan.max_len + 1), plan.pad, device=device)
        self.sums = torch.zeros(*slots, plan.max_len + 1, device=device)
        self.length = torch.zeros(slots, dtype=torch.long, device=device)
        self.count = torch.zeros(slots[:2], dtype=torch.long, device=device)

    def add(self, ends: Tensor, score: Tensor, live: _Live, beam: Tensor) -> None:
        """Store the candidates that end: ends, score, beam (B, G, w), best first."""
        count = self.count[live.sample]  # (B, G)
        rank = count.unsqueeze(2) + ends.cumsum(2) - 1  # (B, G, w)
        stored = ends & (rank < self.width)
        slot = torch.where(stored, rank, self.width)
        group = torch.arange(ends.size(1), device=slot.device).unsqueeze(1)
        place = live.sample[:, None, None], group, slot
        rows = live.rows_of(beam)
        t = live.step
        self.tokens[*place, :t] = live.tokens[rows, 1 : t + 1]
        self.tokens[*place, t] = self.plan.eos
        self.sums[*place, :t] = live.sums[rows, :t]
        self.sums[*place, t] = score
        self.length[place] = t + 1
        self.count[live.sample] = count + stored.sum(2)

    def ranked(self) -> list[list[Hypothesis]]:
        """Per sample all that was found, best first; one transfer."""
        slot = torch.arange(self.width, device=self.count.device)
        present = (slot < self.count.unsqueeze(2)).flatten(1)  # (B, W)
        tokens, sums = (x[:, :, :-1].flatten(1, 2) for x in (self.tokens, self.sums))  # (B, W, L)
        length = self.length[:, :, :-1].flatten(1)  # (B, W)
        score = sums.gather(2, (length - 1).clamp(min=0).unsqueeze(2)).squeeze(2)
        if self.plan.length_penalty is not None:
            score = score / length.clamp(min=1) ** self.plan.length_penalty
        positional = sums.diff(dim=2, prepend=torch.zeros_like(sums[..., :1]))
        score = score.masked_fill(~present, -math.inf)
        score, order = score.sort(dim=1, descending=True, stable=True)
        table = torch.stack([order.double(), length.gather(1, order).double(), score.double()])
        found = []
        for b, (count, columns) in enumerate(
            zip(present.sum(1).tolist(), table.transpose(0, 1).tolist(), strict=True)
        ):
            ranked = list(zip(*columns, strict=True))[:count]
            found.append(
                [
                    Hypothesis(tokens[b, int(i), : int(n)], s, positional[b, int(i), : int(n)])
                    for i, n, s in ranked
                ]
            )
        return found


class _Live:
    """Hypotheses still growing: B samples of W rows, group after group."""

    def __init__(self, batch: int, plan: SearchPlan, device: torch.device) -> None:
        self.groups, self.width = plan.groups, plan.width // plan.groups
        rows = batch * plan.width
        self.step = 0
        self.tokens = torch.full((rows, plan.max_len + 2), plan.pad, device=device)
        self.tokens[:, 0] = plan.bos
        self.sums = torch.zeros(rows, plan.max_len + 1, device=device)
        # At first all hypotheses of a group are the same: only one of them may be continued.
        self.scores = torch.full((batch, plan.groups, self.width), -math.inf, device=device)
        self.scores[:, :, 0] = 0.0
        self.sample = torch.arange(batch, device=device)
        self.parent: Tensor | None = None

    def view(self) -> Rows:
        """What the model and the processors see."""
        sample = self.sample.repeat_interleave(self.groups * self.width)
        return Rows(self.tokens[:, : self.step + 1], sample, self.parent)

    def rows_of(self, beam: Tensor) -> Tensor:
        """Row numbers of hypotheses: beam (B, G, k) in [0, w) -> (B, G, k)."""
        batch, groups = beam.shape[:2]
        first = torch.arange(batch * groups, device=beam.device) * self.width
        return first.view(batch, groups, 1) + beam

    def grow(self, beam: Tensor, token: Tensor, score: Tensor) -> Tensor:
        """Continue these hypotheses, (B, G, w) each; returns which rows they were (N,)."""
        order = self.rows_of(beam).flatten()
        t = self.step
        if self.width > 1:
            self.tokens[:, : t + 1] = self.tokens[order, : t + 1]
            self.sums[:, :t] = self.sums[order, :t]
        self.tokens[:, t + 1] = token.flatten()
        self.sums[:, t] = score.flatten()
        self.scores = score
        self.step = t + 1
        return order

    def keep(self, kept: Tensor) -> Tensor:
        """Drop all samples but kept (B',); returns the row numbers that stay."""
        width = self.groups * self.width
        rows = (kept.unsqueeze(1) * width + torch.arange(width, device=kept.device)).flatten()
        self.tokens, self.sums = self.tokens[rows], self.sums[rows]
        self.sample = self.sample[kept]
        return rows


@torch.inference_mode()
def search(source: NextToken, batch: int, plan: SearchPlan, device: torch.device) -> Found:
    """Hypotheses of each sample, best first; their scores are finite.

    A sample ends when each of its groups has found w hypotheses, or nothing in it can go on, or
    after max_len tokens; it then leaves the batch.  There may be fewer hypotheses than asked for,
    even none.
    """
    live = _Live(batch, plan, device)
    finished = _Finished(batch, plan, device)
    for step in range(plan.max_len + 1):  # one more for eos
        lprobs, columns = source.next_lprobs(live.view())  # (B, W, C)
        found = plan.step(lprobs.view(*live.scores.shape, -1), live.scores)
        if columns is not None:
            found = found._replace(token=columns[found.token])
        ends = found.token.eq(plan.eos) & found.score.gt(-math.inf)  # (B, G, k)
        w = live.width
        finished.add(ends[..., :w], found.score[..., :w], live, found.beam[..., :w])
        if step == plan.max_len:
            break
        going = _still_going(found, ends, w)
        full = finished.count[live.sample].ge(w)  # (B, G)
        score = going.score.masked_fill(full.unsqueeze(2), -math.inf)
        alive: list[bool] = score.gt(-math.inf).flatten(1).any(1).tolist()  # the one transfer
        if not any(alive):
            break
        going = going._replace(score=score)
        _advance(source, live, going, alive)
    return finished.ranked()


Found = list[list[Hypothesis]]


def _still_going(found: Candidates, ends: Tensor, width: int) -> Candidates:
    """The best candidates that do not end, (B, G, w); where there are too few, dead ones.

    Dead ones repeat the best one, so that rows of a sample differ only where hypotheses do.
    """
    count = ends.size(2)
    rank = torch.arange(count, device=ends.device) + ends * count  # ended ones last
    rank, place = rank.topk(width, dim=2, largest=False)
    beam, token, score = (part.gather(2, place) for part in found)
    dead = (rank >= count) | score.eq(-math.inf)
    beam, token = (torch.where(dead, part[..., :1], part) for part in (beam, token))
    return Candidates(beam, token, score.masked_fill(dead, -math.inf))


def _advance(source: NextToken, live: _Live, going: Candidates, alive: list[bool]) -> None:
    """Continue the living samples with their best candidates, in the loop and in the models."""
    rows: Tensor | None = None
    if not all(alive):
        kept = torch.tensor([b for b, on in enumerate(alive) if on], device=live.sample.device)
        going = Candidates(*(part[kept] for part in going))
        rows = live.keep(kept)
        source.keep_samples(kept)
    order = live.grow(*going)
    if live.width > 1:
        source.reorder(order, live.step)
    live.parent = order if rows is None else rows[order]
