"""Search steps: which tokens continue which hypotheses.  Pure: no model, no constraint.

Hypotheses of a sample form G groups of w; a group is a beam search of its own.  A step maps
  lprobs (B, G, w, V)  log-probabilities of the next token
  scores (B, G, w)     log-probability so far, -inf: the hypothesis is dead
to candidates, best first, k per group
  beam   (B, G, k)     which hypothesis of the group is continued, in [0, w)
  token  (B, G, k)     by which token
  score  (B, G, k)     log-probability then
with k > w where some of the first w may end, and others must be left to go on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Candidates(NamedTuple):
    """Continuations, (B, G, k) each."""

    beam: Tensor
    token: Tensor
    score: Tensor


class Step(Protocol):
    """See the head of this file."""

    def __call__(self, lprobs: Tensor, scores: Tensor) -> Candidates: ...


def beam_step(lprobs: Tensor, scores: Tensor) -> Candidates:
    """The 2w best continuations: each hypothesis has one that ends, so at least w go on."""
    width, vocab_size = lprobs.shape[-2:]
    total = (lprobs + scores.unsqueeze(-1)).flatten(2)  # (B, G, w*V)
    score, index = total.topk(min(2 * width, width * vocab_size), dim=2)
    return Candidates(index // vocab_size, index % vocab_size, score)


@dataclass(frozen=True)
class DiverseGroupsStep:
    """Beam step group by group; tokens among the candidates of earlier groups cost `strength`.

    Source: diverse beam search with Hamming diversity (arXiv:1610.02424).
    """

    strength: float

    def __call__(self, lprobs: Tensor, scores: Tensor) -> Candidates:
        used = lprobs.new_zeros(lprobs.size(0), lprobs.size(3))  # (B, V)
        groups = []
        for g in range(lprobs.size(1)):
            penalised = lprobs[:, g : g + 1] - self.strength * used[:, None, None]
            found = beam_step(penalised, scores[:, g : g + 1])
            groups.append(found)
            # What a dead group would choose is arbitrary and must not cost the others anything.
            alive = found.score.squeeze(1).gt(-math.inf).to(used)
            used = used.scatter_add(1, found.token.squeeze(1), alive)
        beam, token, score = (torch.cat(parts, dim=1) for parts in zip(*groups, strict=True))
        return Candidates(beam, token, score)


@dataclass(frozen=True)
class DiverseSiblingsStep:
    """Beam step in which the r-th best continuation of a hypothesis costs r * `rate`.

    With one live hypothesis there are no others to make room for and nothing is subtracted.
    Source: arXiv:1611.08562.
    """

    rate: float

    def __call__(self, lprobs: Tensor, scores: Tensor) -> Candidates:
        width, vocab_size = lprobs.shape[-2:]
        count = min(2 * width, vocab_size)
        best, token = (lprobs + scores.unsqueeze(-1)).topk(count, dim=3)  # (B, G, w, c)
        rank = torch.arange(1, count + 1, device=lprobs.device)
        several = scores.gt(-math.inf).sum(2).gt(1)  # (B, G)
        best = best - self.rate * rank * several[..., None, None]
        score, index = best.flatten(2).topk(min(2 * width, width * count), dim=2)
        return Candidates(index // count, token.flatten(2).gather(2, index), score)


@dataclass(frozen=True)
class SamplingStep:
    """One random continuation of each hypothesis, every hypothesis being a group (w = 1).

    top_k, top_p: draw among the k likeliest tokens, or the smallest set whose probability exceeds
    p; off when not positive.  Scores are the log-probabilities before that choice.
    """

    top_k: int = -1
    top_p: float = -1.0
    generator: torch.Generator | None = None

    def __call__(self, lprobs: Tensor, scores: Tensor) -> Candidates:
        batch, groups = scores.shape[:2]
        chances = self._chances(lprobs.flatten(0, 2))  # (B*G, V)
        # A row without any possible token is dead or dies here; a draw must not fail for it.
        chances[:, 0] += chances.sum(1).eq(0)
        token = torch.multinomial(chances, 1, generator=self.generator).view(batch, groups, 1)
        score = scores + lprobs.squeeze(2).gather(2, token)
        return Candidates(torch.zeros_like(token), token, score)

    def _chances(self, lprobs: Tensor) -> Tensor:
        probs = lprobs.exp()  # (N, V)
        if self.top_k > 0:
            best, ids = probs.topk(min(self.top_k, probs.size(1)), dim=1)
            return torch.zeros_like(probs).scatter_(1, ids, best)
        if self.top_p > 0:
            best, ids = probs.sort(dim=1, descending=True)
            # Kept while the likelier tokens alone do not exceed p; so the likeliest always is.
            before = best.cumsum(1) - best
            return torch.zeros_like(probs).scatter_(1, ids, best * before.lt(self.top_p))
        return probs
