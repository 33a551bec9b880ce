"""Rewards and loss of self-critical training, on hand-made numbers."""

import math

import pytest
import torch

from biomedgpt_fairseq.losses.self_critical import leave_one_out, self_critical_loss


def test_reward_is_the_score_over_the_mean_of_the_others() -> None:
    got = leave_one_out(torch.tensor([1.0, 2.0, 6.0, 5.0, 3.0]), [3, 2])
    assert got.tolist() == pytest.approx([1 - 4, 2 - 3.5, 6 - 1.5, 2, -2])


def test_sample_without_siblings_has_no_reward() -> None:
    assert leave_one_out(torch.tensor([4.0, 1.0, 2.0]), [1, 2]).tolist() == [0, -1, 1]


def test_loss_is_the_rewarded_negative_log_likelihood() -> None:
    # Probabilities 1/4, 3/4 in row 0; 1/2, 1/2 in row 2.
    logits = torch.tensor([[0.0, math.log(3)], [9.0, 9.0], [1.0, 1.0]], requires_grad=True)
    rows, target, reward = torch.tensor([0, 2]), torch.tensor([1, 0]), torch.tensor([2.0, -1.0])
    loss = self_critical_loss(logits, rows, target, reward)
    assert loss.item() == pytest.approx(-2 * math.log(0.75) + math.log(0.5), rel=1e-6)
    loss.backward()
    assert logits.grad is not None
    wanted = [[0.5, -0.5], [0.0, 0.0], [0.5, -0.5]]
    for row, expected in zip(logits.grad.tolist(), wanted, strict=True):
        assert row == pytest.approx(expected, abs=1e-6)
