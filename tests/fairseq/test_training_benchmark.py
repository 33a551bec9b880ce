"""The benchmark of training compares two forms of one network."""

from __future__ import annotations

import torch

from benchmarks.bench_training import Setting, Side

SETTING = Setting("micro", batch=2, image=64, target=7)


def test_both_sides_have_the_same_loss_and_gradients() -> None:
    found = {}
    for ours in (True, False):
        side = Side(SETTING, ours, keep_memory=False)
        # Batch statistics of two small pictures would blow up rounding errors.
        side.model.get_submodule("encoder.embed_images").eval()
        loss = side.loss()
        loss.backward()
        named = side.model.named_parameters()
        found[ours] = loss, {name: p.grad for name, p in named if p.grad is not None}
    torch.testing.assert_close(found[True][0], found[False][0], rtol=1e-6, atol=0.0)
    gradients, expected = found[True][1], found[False][1]
    # Those that a text without codes does not reach are absent on one side and 0 on the other.
    for name, grad in expected.items():
        got = gradients.get(name, torch.zeros_like(grad))
        scale = max(float(grad.abs().max()), 1e-2)
        assert float((got - grad).abs().max()) < 1e-4 * scale, name
    assert gradients.keys() <= expected.keys()


def test_ours_keeps_less_and_no_bias_per_layer() -> None:
    ours, plain = (Side(SETTING, side, keep_memory=False).count() for side in (True, False))
    assert ours["saved"] < 0.6 * plain["saved"]
    pairs = (64 // 16) ** 2 + SETTING.source
    assert ours["saved_pairs"] == 4 * pairs**2 * 4  # one float32 for each of four heads
    assert plain["saved_pairs"] > 2 * ours["saved_pairs"]
    assert plain["operations"] > 0


def test_step_changes_the_weights_and_tells_its_time() -> None:
    side = Side(SETTING, ours=True, keep_memory=False)
    before = next(side.model.parameters()).clone()
    found = side.step()
    assert found["clock"] > 0
    assert found["processor"] > 0
    assert not torch.equal(before, next(side.model.parameters()))
