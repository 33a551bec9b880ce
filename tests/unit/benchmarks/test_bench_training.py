from __future__ import annotations

import pytest
import torch

from benchmarks.bench_training import Setting, Side, matmul_rate

SMALL = Setting("micro", batch=2, image=64, source=9, target=8)


@pytest.fixture
def sides() -> list[Side]:
    made = [Side(SMALL, ours, keep_memory=False) for ours in (True, False)]
    for side in made:
        # Statistics of small batches are noisy, and random drops differ between the sides.
        side.model.eval()
    return made


def test_both_sides_have_the_same_loss_and_gradients(sides: list[Side]) -> None:
    losses = [side.loss() for side in sides]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    ours, plain = (dict(side.model.named_parameters()) for side in sides)
    compared = 0
    for name, parameter in ours.items():
        if parameter.grad is None:
            assert plain[name].grad is None
        else:
            torch.testing.assert_close(parameter.grad, plain[name].grad, rtol=1e-3, atol=1e-5)
            compared += 1
    assert compared > 50


def test_ours_keeps_less_for_backward(sides: list[Side]) -> None:
    ours, plain = (side.count() for side in sides)
    assert 0 < ours["saved"] < 0.6 * plain["saved"]
    assert 0 < ours["saved_pairs"] < plain["saved_pairs"]
    assert ours["operations"] > 0


def test_step_changes_the_weights_and_tells_its_time() -> None:
    side = Side(SMALL, ours=True, keep_memory=False)
    before = next(side.model.parameters()).clone()
    found = side.step()
    assert found["clock"] > 0
    assert found["processor"] > 0
    assert not torch.equal(before, next(side.model.parameters()))


def test_rate_of_a_product_is_plausible() -> None:
    assert 1e8 < matmul_rate(1, side=64) < 1e13
