"""Laws of the smoothed loss over random shapes, answer sets and weights."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from biomedgpt_fairseq.losses.label_smoothing import (
    LossConfig,
    allowed_from_mask,
    allowed_from_sparse,
    smoothed_loss,
)


@st.composite
def closed_batches(draw):
    """Logits (N, V), targets (N,) and a mask (1, N, V) that allows them."""
    tokens, vocabulary = draw(st.integers(1, 5)), draw(st.integers(2, 9))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    target = torch.randint(vocabulary, (tokens,), generator=generator)
    mask = torch.rand(tokens, vocabulary, generator=generator) < draw(st.floats(0, 1))
    mask[torch.arange(tokens), target] = True
    return torch.randn(tokens, vocabulary, generator=generator), target, mask[None]


@settings(max_examples=40, deadline=None)
@given(closed_batches(), st.floats(0, 0.9))
def test_uniform_logits_cost_the_log_of_the_number_of_allowed_ids(batch, epsilon):
    logits, target, mask = batch
    rows = torch.arange(len(target))
    allowed = allowed_from_mask(mask, rows)
    got = smoothed_loss(torch.zeros_like(logits), rows, target, LossConfig(epsilon), allowed)
    want = sum(math.log(count) for count in mask[0].sum(1).tolist())
    assert abs(float(got.loss) - want) < 1e-4


@settings(max_examples=40, deadline=None)
@given(closed_batches(), st.floats(0, 0.9))
def test_allowing_every_id_equals_no_constraint(batch, epsilon):
    logits, target, mask = batch
    rows, config = torch.arange(len(target)), LossConfig(epsilon)
    everything = allowed_from_mask(torch.ones_like(mask), rows)
    closed = smoothed_loss(logits, rows, target, config, everything)
    free = smoothed_loss(logits, rows, target, config)
    torch.testing.assert_close(closed.loss, free.loss, atol=1e-4, rtol=1e-4)


@settings(max_examples=40, deadline=None)
@given(closed_batches())
def test_sparse_constraints_equal_the_mask(batch):
    logits, target, mask = batch
    rows = torch.arange(len(target))[::2]
    sparse = {
        "row_offsets": torch.cat([torch.zeros(1).long(), mask[0].sum(1).cumsum(0)]),
        "ids": mask[0].nonzero()[:, 1],
    }
    for got, want in zip(
        allowed_from_sparse(sparse, rows), allowed_from_mask(mask, rows), strict=True
    ):
        assert torch.equal(got, want)


@settings(max_examples=40, deadline=None)
@given(closed_batches(), st.floats(0, 0.9), st.floats(0, 4))
def test_second_pass_equal_to_the_first_doubles_the_loss_and_diverges_by_nothing(
    batch, epsilon, alpha
):
    logits, target, mask = batch
    rows = torch.arange(len(target))
    allowed = allowed_from_mask(mask, rows)
    once = smoothed_loss(logits, rows, target, LossConfig(epsilon), allowed)
    config = LossConfig(epsilon, rdrop_alpha=alpha)
    twice = smoothed_loss(
        logits.repeat(2, 1),
        torch.arange(2 * len(target)),
        target.repeat(2),
        config,
        allowed.twice(),
    )
    torch.testing.assert_close(twice.loss, 2 * once.loss)
