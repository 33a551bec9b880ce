"""Smoothed losses against a direct evaluation of their formulas."""

import math

import pytest
import torch

from biomedgpt_fairseq.losses import token_losses
from biomedgpt_fairseq.losses.label_smoothing import (
    LossConfig,
    allowed_from_mask,
    allowed_from_sparse,
    columns_of,
    keep_easiest,
    select_tokens,
    smooth_losses,
    smoothed_loss,
    symmetric_divergence,
    window_columns,
)
from biomedgpt_fairseq.losses.token_losses import TokenLosses, count_correct

PAD, EOS = 1, 2


def make_logits(rows: int = 6, vocabulary: int = 11) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(rows, vocabulary, generator=generator).mul_(2).requires_grad_()


def direct(logits, target, epsilon, mask=None, confidence=None):
    """Loss of each token, written as the sum over ids that it stands for."""
    if mask is not None:
        logits = logits.masked_fill(~mask, -math.inf)
    lprobs = torch.log_softmax(logits, 1)
    if confidence is not None:
        lprobs = lprobs * confidence[:, None]
    out = []
    for row in range(len(target)):
        ids = range(logits.size(1)) if mask is None else mask[row].nonzero().flatten().tolist()
        share = epsilon / (len(ids) - 1) if len(ids) > 1 else 0.0
        terms = [-lprobs[row, i] * ((1 - epsilon) if i == int(target[row]) else share) for i in ids]
        out.append(torch.stack(terms).sum())
    return torch.stack(out)


def both_gradients(logits, loss, expected):
    got = torch.autograd.grad(loss, logits, retain_graph=True)[0]
    want = torch.autograd.grad(expected, logits, retain_graph=True)[0]
    return got, want


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_loss_and_gradient_equal_the_formula_when_every_id_is_possible(epsilon, monkeypatch):
    monkeypatch.setattr(token_losses, "CHUNK_ELEMENTS", 22)  # two rows at a time
    logits, rows, target = make_logits(), torch.tensor([0, 2, 5]), torch.tensor([4, 7, 10])
    confidence = torch.tensor([1.0, 0.6, 2.0])
    got = smoothed_loss(logits, rows, target, LossConfig(epsilon), confidence=confidence)
    want = direct(logits[rows], target, epsilon, confidence=confidence).sum()
    torch.testing.assert_close(got.loss, want)
    torch.testing.assert_close(*both_gradients(logits, got.loss, want))
    assert got.kept == 3


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_loss_and_gradient_equal_the_formula_when_answers_are_closed(epsilon):
    logits, rows, target = make_logits(), torch.tensor([1, 3, 4]), torch.tensor([4, 7, 10])
    mask = torch.zeros(1, 6, 11, dtype=torch.bool)
    mask[0, 1, [2, 4, 5]], mask[0, 3, [7]], mask[0, 4, [0, 3, 9, 10]] = True, True, True
    allowed = allowed_from_mask(mask, rows)
    got = smoothed_loss(logits, rows, target, LossConfig(epsilon), allowed)
    want = direct(logits[rows], target, epsilon, mask[0][rows]).sum()
    torch.testing.assert_close(got.loss, want)
    torch.testing.assert_close(*both_gradients(logits, got.loss, want))


def test_sparse_and_dense_constraints_give_the_same_pairs():
    mask = torch.zeros(2, 2, 6, dtype=torch.bool)
    mask[0, 0, [1, 4]], mask[1, 0, [0, 2, 5]], mask[1, 1, [3]] = True, True, True
    sparse = {
        "row_offsets": torch.tensor([0, 2, 2, 5, 6]),
        "ids": torch.tensor([1, 4, 0, 2, 5, 3]),
    }
    rows = torch.tensor([0, 3])
    for got, want in zip(
        allowed_from_sparse(sparse, rows), allowed_from_mask(mask, rows), strict=True
    ):
        assert got.tolist() == want.tolist()


def test_target_outside_its_allowed_ids_raises():
    mask = torch.zeros(1, 1, 11, dtype=torch.bool)
    mask[0, 0, 3] = True
    rows = torch.tensor([0])
    with pytest.raises(ValueError, match="1 of 1 target tokens"):
        smoothed_loss(
            make_logits(1), rows, torch.tensor([4]), LossConfig(), allowed_from_mask(mask, rows)
        )


def test_single_allowed_id_costs_nothing():
    tokens = TokenLosses(torch.zeros(1), torch.zeros(1), torch.ones(1))
    assert smooth_losses(tokens, 0.1).tolist() == [0.0]


def test_window_leaves_the_special_ids_and_the_range():
    columns = window_columns(6, 9, 11, torch.device("cpu"))
    assert columns.tolist() == [0, 1, 2, 3, 6, 7, 8]
    assert columns_of(torch.tensor([2, 7]), columns).tolist() == [2, 5]
    with pytest.raises(ValueError, match="target id 9"):
        columns_of(torch.tensor([9]), columns)
    with pytest.raises(ValueError, match="constraint range 6,12"):
        window_columns(6, 12, 11, torch.device("cpu"))


def test_select_tokens_leaves_out_pads_prefix_and_eos():
    target = torch.tensor([[PAD, 5, EOS], [7, 8, EOS]])
    assert select_tokens(target, PAD).tolist() == [1, 2, 3, 4, 5]
    assert select_tokens(target, PAD, ignore_prefix_size=2).tolist() == [2, 5]
    assert select_tokens(target, PAD, ignored_eos=EOS).tolist() == [1, 3, 4]


def test_keep_easiest_drops_the_largest_losses_and_mirrors():
    losses = torch.tensor([3.0, 1.0, 2.0, 9.0, 9.0, 0.0])
    assert sorted(keep_easiest(losses, 0.5, mirrored=False).tolist()) == [1, 2, 5]
    assert sorted(keep_easiest(losses, 0.5, mirrored=True).tolist()) == [1, 4]


def test_dropped_tokens_get_no_gradient():
    logits, rows, target = make_logits(4), torch.arange(4), torch.tensor([0, 1, 2, 3])
    got = smoothed_loss(logits, rows, target, LossConfig(drop_worst_ratio=0.5))
    got.loss.backward()
    assert got.kept == 2
    assert int((logits.grad.abs().sum(1) > 0).sum()) == 2


def test_rdrop_adds_half_the_symmetric_divergence():
    logits, target = make_logits(4), torch.tensor([4, 7, 4, 7])
    got = smoothed_loss(logits, torch.arange(4), target, LossConfig(rdrop_alpha=3.0))
    p, q = torch.log_softmax(logits, 1).chunk(2)
    divergence = (p.exp() * (p - q)).sum() + (q.exp() * (q - p)).sum()
    want = direct(logits, target, 0.0).sum() + 3.0 * divergence / 2
    torch.testing.assert_close(got.loss, want)
    torch.testing.assert_close(*both_gradients(logits, got.loss, want))


def test_rdrop_with_closed_answers_is_finite_and_runs_over_the_allowed_ids():
    logits, target = make_logits(2), torch.tensor([4, 4])
    mask = torch.zeros(1, 1, 11, dtype=torch.bool)
    mask[0, 0, [4, 6, 9]] = True
    allowed = allowed_from_mask(mask, torch.tensor([0])).twice()
    got = smoothed_loss(logits, torch.arange(2), target, LossConfig(rdrop_alpha=2.0), allowed)
    p, q = torch.log_softmax(logits[:, [4, 6, 9]], 1).chunk(2)
    want = -(p[0, 0] + q[0, 0]) + symmetric_divergence(p, q)
    torch.testing.assert_close(got.loss, want)
    torch.testing.assert_close(*both_gradients(logits, got.loss, want))


def test_no_token_gives_zero_loss_and_zero_gradient():
    logits = make_logits(2)
    empty = torch.zeros(0, dtype=torch.int64)
    got = smoothed_loss(logits, empty, empty, LossConfig(0.1))
    got.loss.backward()
    assert float(got.loss.detach()) == 0 and float(logits.grad.abs().sum()) == 0


def test_half_precision_logits_get_half_precision_gradients():
    logits = make_logits().detach().half().requires_grad_()
    rows, target = torch.arange(6), torch.tensor([0, 2, 4, 6, 8, 10])
    got = smoothed_loss(logits, rows, target, LossConfig(0.1))
    got.loss.backward()
    want = direct(logits.detach().float(), target, 0.1).sum()
    assert got.loss.dtype == torch.float32 and logits.grad.dtype == torch.float16
    torch.testing.assert_close(got.loss.detach(), want)


def test_count_correct_looks_at_the_possible_ids_only():
    logits = torch.tensor([[5.0, 0.0, 3.0], [0.0, 4.0, 1.0]])
    rows, target = torch.arange(2), torch.tensor([2, 1])
    mask = torch.tensor([[[False, True, True], [True, True, False]]])
    assert int(count_correct(logits, rows, target, None)) == 1
    assert int(count_correct(logits, rows, target, allowed_from_mask(mask, rows))) == 2


def test_among_keeps_the_pairs_inside_the_window():
    mask = torch.tensor([[[True, False, True, True], [False, True, False, False]]])
    pairs = allowed_from_mask(mask, torch.arange(2)).among(torch.tensor([1, 3]))
    assert [part.tolist() for part in pairs] == [[0, 1], [3, 1], [1, 1]]


def test_batch_without_a_known_answer_has_no_closed_loss():
    logits = torch.randn(4, 7, requires_grad=True)
    none = torch.zeros(0, dtype=torch.int64)
    allowed = token_losses.AllowedIds(none, none, none)
    lprobs = token_losses.allowed_log_probs(logits, none, allowed)
    losses = token_losses.allowed_losses(lprobs, none, allowed)
    (losses.nll.sum() + losses.smooth.sum()).backward()
    assert losses.nll.shape == (0,) and logits.grad is not None and not logits.grad.any()
    assert count_correct(logits, none, none, allowed) == 0
