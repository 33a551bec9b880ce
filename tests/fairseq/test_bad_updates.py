"""When an update is bad, and how often it may be, on a trainer of a few lines."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from biomedgpt_fairseq.fairseq_bad_updates import ENOUGH, PATIENCE, LossWatch, UpdateGuard


class Trainer:
    """Its gradient norm is the loss that it is given as a batch; some are too large for fp16."""

    def __init__(self, policy: str = "skip", factor: float = 0.0, amp: bool = False) -> None:
        options = SimpleNamespace(on_bad_loss=policy, gradient_spike_factor=factor)
        self.task = SimpleNamespace(cfg=options, loss_watch=LossWatch())
        self.cfg = SimpleNamespace(common=SimpleNamespace(amp=amp))
        self.scaled = 0
        self.optimizer = SimpleNamespace(scaler=SimpleNamespace(update=self._lower_scale))
        self.data_parallel_world_size = 1
        self.updates, self.norm, self.overflows = 0, 0.0, False

    def _lower_scale(self) -> None:
        self.scaled += 1

    def get_num_updates(self) -> int:
        return self.updates

    def get_model(self) -> torch.nn.Module:
        return torch.nn.BatchNorm1d(2)

    def state_dict(self) -> Any:
        return {"extra_state": {}}

    def clip_grad_norm(self, clip_norm: float) -> Any:
        if self.overflows:
            raise OverflowError("setting loss scale to 1")
        return torch.tensor(self.norm)

    def train_step(self, samples: Any, raise_oom: bool = False) -> Any:
        for sample in samples:
            self.task.loss_watch.watch(torch.tensor(sample["loss"]))
        try:
            self.clip_grad_norm(1.0)
        except OverflowError:
            return None
        self.updates += 1
        return {"loss": 1.0}


def guarded(trainer: Trainer, rewind: Any = lambda: None) -> UpdateGuard:
    guard = UpdateGuard(trainer, rewind)
    trainer.clip_grad_norm = guard.clip_grad_norm  # type: ignore[method-assign]
    return guard


def step(guard: UpdateGuard, norm: float = 1.0, loss: float = 1.0) -> Any:
    guard.trainer.norm = norm
    return guard.train_step([{"id": ["a", "b"], "loss": 1.0}, {"id": ["c"], "loss": loss}])


def test_rows_of_the_batch_with_the_bad_loss_are_named(caplog: pytest.LogCaptureFixture) -> None:
    guard = guarded(Trainer())
    assert step(guard, math.nan, math.nan) is None
    assert "update 1: the loss is not finite; rows on this worker: c." in caplog.text


def test_all_rows_are_named_if_only_the_gradient_is_bad(caplog: pytest.LogCaptureFixture) -> None:
    guard = guarded(Trainer())
    assert step(guard, math.inf) is None
    assert "the gradient norm is inf; rows on this worker: a, b, c." in caplog.text


def test_spike_is_compared_with_the_median_once_there_are_enough_norms() -> None:
    guard = guarded(Trainer(factor=5.0))
    assert step(guard, 100.0)
    for _ in range(ENOUGH - 1):
        assert step(guard, 2.0)
    assert step(guard, 9.5)
    assert step(guard, 10.1) is None
    assert guard.state_dict()["extra_state"]["gradient_norms"] == [100.0, *[2.0] * 9, 9.5]


def test_checkpoints_hold_no_norms_unless_spikes_are_looked_for() -> None:
    guard = guarded(Trainer())
    assert step(guard, 1.0) and step(guard, 1e6)
    assert guard.state_dict() == {"extra_state": {}}


def test_scale_that_is_too_large_is_left_to_the_scaler(caplog: pytest.LogCaptureFixture) -> None:
    guard = guarded(Trainer("stop"))
    guard.trainer.overflows = True
    assert step(guard) is None
    assert not caplog.text
    with pytest.raises(FloatingPointError, match="the loss is not finite; .* c"):
        step(guard, loss=math.nan)


def test_amp_lowers_its_scale_unless_the_loss_is_bad() -> None:
    guard = guarded(Trainer(amp=True))
    assert step(guard, math.inf) is not None
    assert guard.trainer.scaled == 0
    assert step(guard, math.nan, math.nan) is None
    assert guard.trainer.scaled == 1


@pytest.mark.parametrize("policy", ["skip", "rewind"])
def test_run_stops_after_many_bad_updates_that_bring_it_no_further(policy: str) -> None:
    trainer = Trainer(policy)

    def rewind() -> Any:
        trainer.updates = 0
        return {}

    guard = guarded(trainer, rewind)
    for _ in range(PATIENCE):
        step(guard)
        assert step(guard, math.nan) is None
    if policy == "skip":
        # Each update took the run further.
        for _ in range(PATIENCE - 1):
            assert step(guard, math.nan) is None
    with pytest.raises(FloatingPointError, match=f"{PATIENCE + 1} in a row, so the run stops"):
        step(guard, math.nan)


def test_rewinding_before_the_first_checkpoint_drops_the_update(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert step(guarded(Trainer("rewind")), math.nan) is None
    assert "The update is dropped (there is no checkpoint yet)" in caplog.text


def test_factor_that_finds_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="--gradient-spike-factor 1.0 must be above 1"):
        UpdateGuard(Trainer(factor=1.0), lambda: None)
    with pytest.raises(ValueError, match="must be above 1"):
        UpdateGuard(Trainer(factor=-3.0), lambda: None)


def test_watching_changes_no_loss_and_spoils_gradients_of_a_bad_one() -> None:
    weight = torch.tensor([0.1, 0.7], requires_grad=True)
    watch = LossWatch()
    loss = (weight * 0.3).sum()
    assert torch.equal(watch.watch(loss), loss)
    (good,) = torch.autograd.grad(watch.watch(loss), weight)
    assert torch.equal(good, torch.full((2,), 0.3))
    (bad,) = torch.autograd.grad(watch.watch(weight.sum() + math.inf), weight)
    assert bad.isnan().all()
    assert watch.bad() == [False, False, True]
