"""Label-smoothed negative log-likelihood with closed answer sets, weights, dropping and R-Drop.

B samples, L target positions, V vocabulary, N target tokens that count, M allowed pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from biomedgpt_fairseq.losses.encouraging import encouraging_sum
from biomedgpt_fairseq.losses.logits import Logits, select_rows, width
from biomedgpt_fairseq.losses.token_losses import (
    AllowedIds,
    TokenLosses,
    allowed_log_probs,
    allowed_losses,
    full_losses,
)

NUM_SPECIALS = 4  # bos, pad, eos, unk stay possible under every vocabulary window


@dataclass(frozen=True)
class LossConfig:
    """How token losses become one number."""

    label_smoothing: float = 0.0
    drop_worst_ratio: float = 0.0  # share of the tokens with the largest losses that is dropped
    rdrop_alpha: float | None = None  # None: the batch is not doubled
    log_end: float | None = None  # None: no bonus, see `losses/encouraging.py`


class LossSums(NamedTuple):
    """Sums over the tokens that were kept."""

    loss: Tensor  # () float32
    nll: Tensor  # () float32
    kept: int


def select_tokens(
    target: Tensor, pad: int, ignore_prefix_size: int = 0, ignored_eos: int | None = None
) -> Tensor:
    """Flat indices of the target positions that count.

    target: (B, L) int64.  Prompt positions hold pad.  Returns (N,) int64, ascending.
    """
    keep = target != pad
    keep[:, :ignore_prefix_size] = False
    if ignored_eos is not None:
        keep &= target != ignored_eos
    return keep.flatten().nonzero().squeeze(1)


def window_columns(start: int, end: int, vocabulary: int, device: torch.device) -> Tensor:
    """Ids that a vocabulary window leaves: the special ids, then start..end-1.

    Returns (C,) int64, ascending.  Raises ValueError unless 0 <= start < end <= vocabulary.
    """
    if not 0 <= start < end <= vocabulary:
        raise ValueError(
            f"constraint range {start},{end} must satisfy 0 <= start < end <= {vocabulary}"
        )
    window = torch.arange(max(start, NUM_SPECIALS), end, device=device)
    return torch.cat([torch.arange(NUM_SPECIALS, device=device), window])


def columns_of(target: Tensor, columns: Tensor) -> Tensor:
    """Places of target ids among ascending columns.

    target: (N,).  columns: (C,).  Returns (N,) int64.  Raises ValueError for an absent id.
    """
    place = torch.searchsorted(columns, target).clamp_(max=columns.numel() - 1)
    outside = columns[place] != target
    if bool(outside.any()):
        raise ValueError(
            f"target id {int(target[outside][0])} lies outside --constraint-range "
            f"({int(columns[NUM_SPECIALS])}..{int(columns[-1])} and the special ids)"
        )
    return place


def allowed_from_mask(mask: Tensor, rows: Tensor) -> AllowedIds:
    """Allowed pairs of the tokens `rows` (N,) of a dense mask (B, L, V) bool."""
    of_rows = mask.reshape(-1, mask.size(-1))[rows]  # (N, V)
    pairs = of_rows.nonzero()
    return AllowedIds(pairs[:, 0], pairs[:, 1], of_rows.sum(1))


def allowed_from_sparse(sparse: Mapping[str, Tensor], rows: Tensor) -> AllowedIds:
    """Allowed pairs of the tokens `rows` (N,) of sparse constraints.

    sparse: `row_offsets` (B*L+1,) int64 into `ids` (M',) int64.
    """
    offsets = sparse["row_offsets"].to(rows.device)
    starts, counts = offsets[:-1][rows], (offsets[1:] - offsets[:-1])[rows]
    token = torch.repeat_interleave(torch.arange(rows.numel(), device=rows.device), counts)
    first = counts.cumsum(0) - counts
    place = torch.arange(token.numel(), device=rows.device) - first[token] + starts[token]
    return AllowedIds(token, sparse["ids"].to(rows.device)[place], counts)


def smooth_losses(tokens: TokenLosses, epsilon: float) -> Tensor:
    """(1 - eps - eps_i) * nll + eps_i * smooth with eps_i = eps / (support - 1).  Returns (N,).

    The target keeps the weight 1 - eps, every other possible id gets eps_i.  With one possible id
    both terms are 0, and so is the loss.
    """
    if epsilon == 0:
        return tokens.nll
    # Original: eps / (n - 1 + 1e-6), a factor of 1e5 for n = 1; here that case is exactly 0.
    share = epsilon / (tokens.support - 1 + 1e-6)
    share = torch.where(tokens.support > 1, share, torch.zeros_like(share))
    return (1 - epsilon - share) * tokens.nll + share * tokens.smooth


def keep_easiest(losses: Tensor, ratio: float, mirrored: bool) -> Tensor:
    """Indices of the floor(n * (1 - ratio)) tokens with the smallest losses.

    losses: (N,).  mirrored: the second half repeats the first, so it keeps the same tokens.
    """
    first = losses.detach()[: losses.numel() // 2] if mirrored else losses.detach()
    kept = first.topk(int(first.numel() * (1 - ratio)), largest=False, sorted=False).indices
    return torch.cat([kept, kept + first.numel()]) if mirrored else kept


def symmetric_divergence(first: Tensor, second: Tensor) -> Tensor:
    """KL(p||q) + KL(q||p), summed, of log-probabilities of one shape over the possible ids."""
    return ((first.exp() - second.exp()) * (first - second)).sum()


def smoothed_loss(
    logits: Logits,
    rows: Tensor,
    target: Tensor,
    config: LossConfig,
    allowed: AllowedIds | None = None,
    confidence: Tensor | None = None,
) -> LossSums:
    """Summed loss of the counted tokens of one batch.

    logits: (R, V).  rows: (N,) rows that count.  target: (N,).  allowed: None for all ids.
    confidence: (N,) factors of the log-probabilities.  With R-Drop the second half of the tokens
    is a second pass over the first half.
    """
    if allowed is None:
        lprobs, tokens = None, full_losses(logits, rows, target)
    else:
        lprobs = allowed_log_probs(logits, rows, allowed)  # (M,)
        tokens = allowed_losses(lprobs, target, allowed)
    if confidence is not None:
        weight = confidence.float()
        tokens = TokenLosses(tokens.nll * weight, tokens.smooth * weight, tokens.support)
    losses, nll = smooth_losses(tokens, config.label_smoothing), tokens.nll
    mirrored = config.rdrop_alpha is not None
    if mirrored and rows.numel() % 2:
        raise ValueError(f"R-Drop needs two passes over the same tokens, found {rows.numel()}")
    kept = torch.arange(rows.numel(), device=rows.device)
    if config.drop_worst_ratio > 0:
        kept = keep_easiest(losses, config.drop_worst_ratio, mirrored)
        losses, nll = losses[kept], nll[kept]
    loss = losses.sum()
    every = None
    if mirrored or (config.log_end is not None and config.label_smoothing > 0):
        if lprobs is None or allowed is None:
            every = _kept_log_probs(logits, rows, kept, confidence)
        else:
            every = _kept_pairs(lprobs, rows, kept, allowed, confidence)
    if config.rdrop_alpha is not None and every is not None:
        first, second = every.chunk(2)
        loss = loss + config.rdrop_alpha * symmetric_divergence(first, second) / 2
    if config.log_end is not None:
        smoothing, vocabulary = config.label_smoothing, width(logits)
        loss = loss + encouraging_sum(-nll, every, smoothing, vocabulary, config.log_end)
    return LossSums(loss, nll.sum(), kept.numel())


def _kept_log_probs(
    logits: Logits, rows: Tensor, kept: Tensor, confidence: Tensor | None
) -> Tensor:
    """Log-probabilities of all ids for the kept tokens: (K, V)."""
    lprobs = torch.log_softmax(select_rows(logits, rows[kept]).float(), dim=1)
    return lprobs if confidence is None else lprobs * confidence[kept, None].float()


def _kept_pairs(
    lprobs: Tensor, rows: Tensor, kept: Tensor, allowed: AllowedIds, confidence: Tensor | None
) -> Tensor:
    """Log-probabilities (M,) of the allowed pairs, without those of dropped tokens.

    Impossible ids are absent, so that no divergence is NaN.
    """
    is_kept = torch.zeros_like(rows, dtype=torch.bool).index_fill_(0, kept, True)
    if confidence is not None:
        lprobs = lprobs * confidence[allowed.token].float()
    return lprobs[is_kept[allowed.token]]
