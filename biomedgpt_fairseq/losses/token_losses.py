"""Negative log-likelihood and log-probability sum of single tokens, without full-size copies.

R rows of logits (a flattened batch), N rows that count, V vocabulary, M allowed (row, id) pairs.
Arithmetic is float32 whatever the network's precision.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from biomedgpt_fairseq.losses.logits import (
    Logits,
    Unprojected,
    detached,
    select_pairs,
    select_rows,
    width,
)

# About 64 MiB of float32: large enough for the device, small beside the logits themselves.
CHUNK_ELEMENTS = 2**24


class TokenLosses(NamedTuple):
    """What every loss is made of, for N tokens."""

    nll: Tensor  # (N,) float32, -log p(target)
    smooth: Tensor  # (N,) float32, -sum of log p over the allowed ids
    support: Tensor  # (N,) float32, number of allowed ids


class AllowedIds(NamedTuple):
    """Allowed vocabulary ids of N tokens, as pairs sorted by token, each once."""

    token: Tensor  # (M,) int64 in [0, N)
    ids: Tensor  # (M,) int64 in [0, V)
    counts: Tensor  # (N,) int64, pairs of each token

    def twice(self) -> "AllowedIds":
        """The pairs of a batch that is followed by its own copy."""
        token = torch.cat([self.token, self.token + self.counts.numel()])
        return AllowedIds(token, self.ids.repeat(2), self.counts.repeat(2))

    def among(self, columns: Tensor) -> "AllowedIds":
        """The pairs whose id is one of the ascending columns (C,)."""
        place = torch.searchsorted(columns, self.ids).clamp_(max=columns.numel() - 1)
        inside = columns[place] == self.ids
        token = self.token[inside]
        return AllowedIds(token, self.ids[inside], token.bincount(minlength=self.counts.numel()))


class _FullSupport(torch.autograd.Function):
    """nll and smooth over all V ids; float32 logits exist for one chunk of counted rows at a time.

    Original: log-softmax of every row, pads included, then several (N, V) float32 intermediates.
    Here backward makes the logits again, if they are to be made from features, and writes the
    gradient straight into the tensors that it belongs to.
    """

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, weight: Tensor | None, rows: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        logits = values if weight is None else Unprojected(values, weight)
        vocabulary = width(logits)
        lse = torch.empty(rows.numel(), dtype=torch.float32, device=values.device)
        picked, total = torch.empty_like(lse), torch.empty_like(lse)
        for part in _chunks(rows.numel(), vocabulary):
            x = select_rows(logits, rows[part]).float()  # (chunk, V)
            lse[part] = x.logsumexp(1)
            picked[part] = x.gather(1, target[part, None]).squeeze(1)
            total[part] = x.sum(1)
        ctx.save_for_backward(values, weight, rows, target, lse)
        return lse - picked, lse * vocabulary - total

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, nll_grad: Tensor, smooth_grad: Tensor
    ) -> tuple[Tensor, Tensor | None, None, None]:
        values, weight, rows, target, lse = ctx.saved_tensors
        logits = values if weight is None else Unprojected(values, weight)
        vocabulary = width(logits)
        grad, weight_grad = torch.zeros_like(values), None
        for part in _chunks(rows.numel(), vocabulary):
            to_nll, to_smooth = nll_grad[part, None], smooth_grad[part, None]
            # A selection of rows is a copy, whose memory serves for all that follows.
            x = select_rows(logits, rows[part]).float().sub_(lse[part, None]).exp_()
            x = x.mul_(to_nll + vocabulary * to_smooth).sub_(to_smooth)
            x = x.scatter_add_(1, target[part, None], -to_nll).to(values.dtype)
            if weight is None:
                grad[rows[part]] = x
                continue
            grad[rows[part]] = x @ weight
            if ctx.needs_input_grad[1]:
                # Half precision would lose what later chunks add.
                exact = torch.promote_types(weight.dtype, torch.float32)
                piece = (x.t() @ values[rows[part]]).to(exact)
                weight_grad = piece if weight_grad is None else weight_grad.add_(piece)
        if weight_grad is not None:
            weight_grad = weight_grad.to(values.dtype)
        return grad, weight_grad, None, None


def _chunks(count: int, width: int) -> list[slice]:
    """Slices of `count` rows whose blocks of `width` columns stay below CHUNK_ELEMENTS."""
    step = max(1, CHUNK_ELEMENTS // max(1, width))
    return [slice(start, start + step) for start in range(0, count, step)]


def full_losses(logits: Logits, rows: Tensor, target: Tensor) -> TokenLosses:
    """Losses when every id is possible.

    logits: (R, V).  rows: (N,) int64, the rows that count, each once.  target: (N,) int64.
    """
    values, weight = logits if isinstance(logits, Unprojected) else (logits, None)
    nll, smooth = _FullSupport.apply(values, weight, rows, target)  # type: ignore[no-untyped-call]
    return TokenLosses(nll, smooth, torch.full_like(nll, width(logits)))


def allowed_losses(lprobs: Tensor, target: Tensor, allowed: AllowedIds) -> TokenLosses:
    """Losses when each token has its own set of possible ids, over which it is normalised.

    lprobs: (M,) of `allowed_log_probs`, so memory grows with the answer set, not with V.
    Raises ValueError if a target is not among its allowed ids: its loss would be infinite.
    """
    is_target = allowed.ids == target[allowed.token]
    found = _sum_by_token(is_target.float(), allowed)
    if not bool((found == 1).all()):
        missing = (found != 1).nonzero().flatten().tolist()
        raise ValueError(
            f"{len(missing)} of {target.numel()} target tokens are outside their allowed ids "
            f"(first: token {missing[0]}, id {int(target[missing[0]])}); every training answer "
            "must be one of the closed answer set (see --on-unknown-answer)"
        )
    smooth = -_sum_by_token(lprobs, allowed)
    return TokenLosses(-lprobs[is_target], smooth, allowed.counts.float())


def _sum_by_token(values: Tensor, allowed: AllowedIds) -> Tensor:
    """Sums of (M,) values over the pairs of each token.  Returns (N,)."""
    # Not index_add: on a GPU its order of summation, and so the result, changes from run to run.
    return _by_token(values, "sum", allowed)


def _max_by_token(values: Tensor, allowed: AllowedIds) -> Tensor:
    """Largest of (M,) values over the pairs of each token.  Returns (N,)."""
    return _by_token(values, "max", allowed)


def _by_token(values: Tensor, kind: str, allowed: AllowedIds) -> Tensor:
    # A batch without any known answer has no pairs, which segment_reduce refuses.
    if values.numel() == 0:
        return values.new_zeros(allowed.counts.numel())
    reduced: Tensor = torch.segment_reduce(values, kind, lengths=allowed.counts)
    return reduced


def allowed_log_probs(logits: Logits, rows: Tensor, allowed: AllowedIds) -> Tensor:
    """Log-probability of each allowed pair, normalised inside its token.  Returns (M,) float32."""
    values = select_pairs(logits, rows[allowed.token], allowed.ids).float()
    shifted = values - _max_by_token(values.detach(), allowed)[allowed.token]
    return shifted - _sum_by_token(shifted.exp(), allowed).log()[allowed.token]


def count_correct(
    logits: Logits, rows: Tensor, target: Tensor, allowed: AllowedIds | None
) -> Tensor:
    """Number of tokens whose target is the most probable possible id.  Returns () int64."""
    logits = detached(logits)
    if allowed is not None:
        lprobs = allowed_log_probs(logits, rows, allowed)
        is_target = allowed.ids == target[allowed.token]
        return (lprobs[is_target] == _max_by_token(lprobs, allowed)).sum()
    correct = torch.zeros((), dtype=torch.int64, device=rows.device)
    for part in _chunks(rows.numel(), width(logits)):
        correct += (select_rows(logits, rows[part]).argmax(1) == target[part]).sum()
    return correct
