"""Means of summed losses over all workers, for fairseq's log."""

import math
from typing import Any, Dict, List

from fairseq import utils
from fairseq.logging import metrics

Log = Dict[str, Any]


def reduce_losses(logs: List[Log]) -> None:
    """Log loss, nll_loss, ppl, loss_v1, loss_v2, counts and accuracy, where they were recorded.

    Losses are in nats, as in the original; here the perplexity is exp(nll_loss), not 2^nll_loss.
    """
    size = total(logs, "sample_size")
    divisor = size if size else 1
    metrics.log_scalar("loss", total(logs, "loss") / divisor, size, round=3)
    metrics.log_scalar("nll_loss", total(logs, "nll_loss") / divisor, size, round=3)
    metrics.log_derived("ppl", lambda meters: perplexity(meters["nll_loss"].avg))
    for name in ("ntokens", "nsentences", "sample_size"):
        metrics.log_scalar(name, total(logs, name), 1, round=3)
    for group in ("v1", "v2"):
        if any(f"sample_size_{group}" in log for log in logs):
            count = total(logs, f"sample_size_{group}")
            mean = total(logs, f"loss_{group}") / max(count, 1)
            metrics.log_scalar(f"loss_{group}", mean, count, round=3)
            metrics.log_scalar(f"sample_size_{group}", count, 1, round=3)
    tokens = utils.item(total(logs, "total"))
    if tokens > 0:
        metrics.log_scalar("total", tokens)
        metrics.log_scalar("n_correct", utils.item(total(logs, "n_correct")))
        metrics.log_derived("accuracy", lambda meters: _accuracy(meters))


def total(logs: List[Log], name: str) -> Any:
    """Sum of one logged value; logs without it count as 0."""
    return sum(log.get(name, 0) for log in logs)


def perplexity(nats: Any) -> float:
    """exp of a mean loss in nats, infinite instead of overflowing; NaN of None, the mean of no
    update, where all were dropped."""
    value = math.nan if nats is None else float(nats)
    if math.isnan(value):
        return value
    return round(math.exp(value), 2) if value < 700 else math.inf


def _accuracy(meters: Any) -> float:
    counted = meters["total"].sum
    return round(meters["n_correct"].sum * 100.0 / counted, 3) if counted > 0 else math.nan
