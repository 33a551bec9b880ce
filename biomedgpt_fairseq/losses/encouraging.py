"""Encouraging loss: a bonus for probable targets (Zhao et al., arXiv:2110.06537)."""

import math

import torch
from torch import Tensor

LEAST_REST = 1e-5  # smallest 1 - p whose logarithm is taken


def bonus_of(probabilities: Tensor, log_end: float) -> Tensor:
    """ln(1 - p), continued from p = log_end by its tangent unless log_end is 1.

    Any shape, values in [0, 1].  The gradient grows with p, where that of cross-entropy shrinks.
    """
    bonus = (1 - probabilities).clamp(min=LEAST_REST).log()
    if log_end == 1:
        return bonus
    tangent = (probabilities - log_end) / (log_end - 1) + math.log(1 - log_end)
    return torch.where(probabilities > log_end, tangent, bonus)


def encouraging_sum(
    own: Tensor, every: Tensor | None, label_smoothing: float, vocabulary: int, log_end: float
) -> Tensor:
    """Sum over tokens of (1 - eps) * bonus[target] + eps / V * sum of all bonuses.

    own: (N,) log-probabilities of the targets.  every: those of all possible ids, any shape; None
    without smoothing.  Impossible ids have p = 0 and no bonus.  Returns () float32.
    """
    total = (1 - label_smoothing) * bonus_of(own.exp(), log_end).sum()
    if every is None:
        return total
    return total + label_smoothing / vocabulary * bonus_of(every.exp(), log_end).sum()
