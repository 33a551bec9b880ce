"""Self-critical training: sampled texts, each weighted by its lead over its siblings.

N samples of B pictures, T positions, V vocabulary.  Source: SCST (arXiv:1612.00563) with the mean
of the other samples as baseline (arXiv:2003.09971).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from biomedgpt_fairseq.losses.logits import Logits
from biomedgpt_fairseq.losses.token_losses import full_losses


def leave_one_out(scores: Tensor, counts: Sequence[int]) -> Tensor:
    """Each score minus the mean of the other scores of its picture.

    scores: (N,).  counts: samples of each picture, N in all.  A sample without siblings gets 0.
    """
    parts = []
    for own in torch.split(scores, list(counts)):
        others = (own.sum() - own) / max(own.numel() - 1, 1)
        parts.append(own - others if own.numel() > 1 else torch.zeros_like(own))
    return torch.cat(parts)


def self_critical_loss(logits: Logits, rows: Tensor, target: Tensor, reward: Tensor) -> Tensor:
    """-sum of reward * log p of the sampled tokens.

    logits: (R, V).  rows: (M,) rows that count.  target, reward: (M,).  Returns () float32.
    """
    return (full_losses(logits, rows, target).nll * reward).sum()
