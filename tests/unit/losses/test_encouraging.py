"""The bonus for probable targets against its formula, written out for dense distributions."""

import math

import pytest
import torch

from biomedgpt_fairseq.losses.encouraging import bonus_of
from biomedgpt_fairseq.losses.label_smoothing import (
    LossConfig,
    allowed_from_mask,
    smoothed_loss,
)

ROWS, VOCABULARY = 5, 7
COUNTED = torch.tensor([0, 1, 3, 4])
TARGET = torch.tensor([2, 6, 0, 3])


def make_logits() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    # Peaked, so that some probabilities pass log_end.
    return 4 * torch.randn(ROWS, VOCABULARY, generator=generator)


def written_out(lprobs: torch.Tensor, epsilon: float, log_end: float) -> float:
    """c of the formula, entry by entry.  lprobs: (N, V), -inf where not allowed."""

    def bonus(p: float) -> float:
        if log_end != 1 and p > log_end:
            return (p - log_end) / (log_end - 1) + math.log(1 - log_end)
        return math.log(max(1 - p, 1e-5))

    total = 0.0
    for row, target in zip(lprobs.exp().tolist(), TARGET.tolist(), strict=True):
        total += (1 - epsilon) * bonus(row[target])
        total += epsilon / len(row) * sum(bonus(p) for p in row)
    return total


def test_bonus_of_hand_made_probabilities() -> None:
    got = bonus_of(torch.tensor([0.0, 0.5, 0.75, 1.0]), 0.75)
    wanted = [0.0, math.log(0.5), math.log(0.25), math.log(0.25) - 1]
    assert got.tolist() == pytest.approx(wanted, rel=1e-6)
    without_tangent = bonus_of(torch.tensor([0.9, 1.0]), 1.0).tolist()
    assert without_tangent == pytest.approx([math.log(0.1), math.log(1e-5)], rel=1e-5)


@pytest.mark.parametrize("log_end", [0.5, 0.75, 1.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_loss_is_cross_entropy_plus_the_bonus(epsilon: float, log_end: float) -> None:
    logits = make_logits()
    plain = smoothed_loss(logits, COUNTED, TARGET, LossConfig(epsilon))
    got = smoothed_loss(logits, COUNTED, TARGET, LossConfig(epsilon, log_end=log_end))
    wanted = written_out(torch.log_softmax(logits, 1)[COUNTED], epsilon, log_end)
    assert float(got.loss - plain.loss) == pytest.approx(wanted, rel=1e-5)
    assert (float(got.nll), got.kept) == (float(plain.nll), plain.kept)


def test_ids_outside_a_closed_set_have_no_bonus() -> None:
    logits, mask = make_logits(), torch.zeros(1, ROWS, VOCABULARY, dtype=torch.bool)
    mask[..., [0, 2, 3, 6]] = True
    allowed = allowed_from_mask(mask, COUNTED)
    plain = smoothed_loss(logits, COUNTED, TARGET, LossConfig(0.1), allowed)
    got = smoothed_loss(logits, COUNTED, TARGET, LossConfig(0.1, log_end=0.75), allowed)
    lprobs = torch.log_softmax(logits.masked_fill(~mask[0], -math.inf), 1)[COUNTED]
    assert float(got.loss - plain.loss) == pytest.approx(written_out(lprobs, 0.1, 0.75), rel=1e-5)


def test_confidence_scales_the_log_probabilities() -> None:
    logits, weight = make_logits(), torch.tensor([0.5, 1.0, 0.25, 0.8])
    plain = smoothed_loss(logits, COUNTED, TARGET, LossConfig(0.1), None, weight)
    got = smoothed_loss(logits, COUNTED, TARGET, LossConfig(0.1, log_end=0.75), None, weight)
    lprobs = torch.log_softmax(logits, 1)[COUNTED] * weight[:, None]
    assert float(got.loss - plain.loss) == pytest.approx(written_out(lprobs, 0.1, 0.75), rel=1e-5)


def test_dropped_tokens_earn_no_bonus() -> None:
    logits = make_logits()
    config = LossConfig(drop_worst_ratio=0.5, log_end=0.75)
    nll = -torch.log_softmax(logits, 1)[COUNTED, TARGET]
    kept = nll.topk(2, largest=False).indices
    alone = smoothed_loss(logits, COUNTED[kept], TARGET[kept], LossConfig(log_end=0.75))
    assert float(smoothed_loss(logits, COUNTED, TARGET, config).loss) == pytest.approx(
        float(alone.loss), rel=1e-6
    )


def test_gradient_is_finite_where_the_target_is_certain() -> None:
    logits = torch.tensor([[80.0, 0.0, 0.0]], requires_grad=True)
    rows, target = torch.tensor([0]), torch.tensor([0])
    smoothed_loss(logits, rows, target, LossConfig(0.1, log_end=0.75)).loss.backward()
    assert logits.grad is not None and bool(logits.grad.isfinite().all())
