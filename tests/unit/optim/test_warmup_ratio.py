"""Learning rates over a run, its limits and its resumption."""

from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq import optim
from fairseq.optim import lr_scheduler

from biomedgpt_fairseq.optim.warmup_ratio import (
    WarmupRatioOptions,
    WarmupRatioSchedule,
    plan_schedule,
    planned_updates,
    register,
)


def make_schedule(lr=(1e-3,), **options):
    cfg = SimpleNamespace(_name="sgd", lr=list(lr), momentum=0.0, weight_decay=0.0, optimizer="sgd")
    optimizer = optim.build_optimizer(cfg, [torch.nn.Parameter(torch.zeros(1))])
    return WarmupRatioSchedule(WarmupRatioOptions(lr=list(lr), **options), optimizer)


def test_plugin_schedule_replaces_the_registered_one_once():
    register()
    assert lr_scheduler.LR_SCHEDULER_REGISTRY["polynomial_decay"] is WarmupRatioSchedule
    dataclass = lr_scheduler.LR_SCHEDULER_DATACLASS_REGISTRY["polynomial_decay"]
    assert dataclass().total_num_update == 1_000_000


def test_ratio_warms_up_linearly_then_decays_to_zero():
    schedule = make_schedule(warmup_ratio=0.2)
    schedule.reinit(10, 0)
    rates = [schedule.step_update(update) for update in (0, 1, 2, 6, 10, 11)]
    assert rates == pytest.approx([0.0, 5e-4, 1e-3, 5e-4, 0.0, 0.0])


def test_first_update_of_a_ratio_run_does_not_use_rate_zero():
    schedule = make_schedule(warmup_ratio=0.5)
    schedule.step_update(0)
    schedule.reinit(10, 0)
    assert schedule.step_begin_epoch(1) == pytest.approx(1e-3 / 5)


@pytest.mark.parametrize("ratio", [0.001, 1.0])
def test_extreme_ratios_give_finite_rates(ratio):
    schedule = make_schedule(warmup_ratio=ratio)
    schedule.reinit(10, 0)
    rates = [schedule.step_begin_epoch(1), *map(schedule.step_update, range(12))]
    assert all(0 <= rate <= 1e-3 for rate in rates)
    assert rates[-1] == 0


def test_ratio_outside_zero_and_one_raises():
    with pytest.raises(ValueError, match="must lie in"):
        make_schedule(warmup_ratio=1.5)


def test_total_is_derived_without_ratio_but_an_explicit_one_stays():
    derived = make_schedule()
    derived.reinit(10, 0)
    assert derived.step_update(5) == pytest.approx(5e-4)
    explicit = make_schedule(total_num_update=20)
    explicit.reinit(10, 0)
    assert explicit.step_update(5) == pytest.approx(7.5e-4)


def test_stock_warmup_updates_still_start_at_rate_zero():
    schedule = make_schedule(warmup_updates=2)
    schedule.step_update(0)
    schedule.reinit(10, 0)
    assert schedule.step_begin_epoch(1) == 0.0


@pytest.mark.parametrize("options", [{"warmup_ratio": 0.2}, {"warmup_updates": 2}])
@pytest.mark.parametrize("done", [1, 2, 7])
def test_resumed_schedule_equals_the_uninterrupted_one(options, done):
    whole, resumed = make_schedule(**options), make_schedule(**options)
    for schedule in (whole, resumed):
        schedule.step_update(0)
    whole.reinit(10, 0)
    rates = [whole.step_update(update) for update in range(1, 10)]
    resumed.step_update(done)
    resumed.reinit(10, done)
    assert [resumed.step_update(update) for update in range(done, 10)] == rates[done - 1 :]
    assert resumed.step_begin_epoch(2) == whole.step_begin_epoch(2)


def test_planned_updates_follow_limits_and_update_freq():
    assert planned_updates(10, 3, 0, [4], skip_remainder=False) == 9
    assert planned_updates(10, 3, 0, [4], skip_remainder=True) == 6
    assert planned_updates(10, 3, 0, [1, 4], skip_remainder=False) == 16
    assert planned_updates(10, 3, 5, [4], skip_remainder=False) == 5
    assert planned_updates(10, 0, 7, [4], skip_remainder=False) == 7
    assert planned_updates(10, 0, 0, [4], skip_remainder=False) is None


def make_trainer(schedule, done, max_epoch):
    options = SimpleNamespace(
        max_epoch=max_epoch, max_update=0, update_freq=[2], skip_remainder_batch=False
    )
    return SimpleNamespace(
        lr_scheduler=schedule,
        cfg=SimpleNamespace(optimization=options),
        get_num_updates=lambda: done,
    )


def test_plan_takes_the_total_from_the_data():
    schedule = make_schedule(warmup_ratio=0.2)
    plan_schedule(make_trainer(schedule, 6, max_epoch=2), range(10))
    assert schedule.total_num_update == 10 and schedule.cfg.warmup_updates == 2
    assert schedule.optimizer.get_lr() == pytest.approx(5e-4)


def test_plan_without_limits_keeps_the_configured_total():
    schedule = make_schedule(warmup_ratio=0.5, total_num_update=40)
    plan_schedule(make_trainer(schedule, 0, max_epoch=0), range(10))
    assert schedule.total_num_update == 40 and schedule.cfg.warmup_updates == 20


def test_plan_leaves_other_schedules_alone():
    plan_schedule(make_trainer(object(), 0, max_epoch=1), range(1))
