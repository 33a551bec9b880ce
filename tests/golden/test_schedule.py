"""Learning rates against curves recorded from the original."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq import optim

from biomedgpt_fairseq.optim.warmup_ratio import WarmupRatioOptions, WarmupRatioSchedule

pytestmark = pytest.mark.shared
OPTIONS = ("warmup_ratio", "warmup_updates", "end_learning_rate", "power", "total_num_update")


@pytest.mark.parametrize("name", ["run0", "run1", "run2", "run4"])
def test_rates_equal_the_recording(name: str, shared_dir: Path) -> None:
    path = shared_dir / "golden" / "optim" / "schedules.json"
    if not path.is_file():
        pytest.skip("no recordings beside the project")
    case = json.loads(path.read_text())[name]
    args = case["args"]
    cfg = SimpleNamespace(_name="sgd", lr=args["lr"], momentum=0.0, weight_decay=0.0)
    cfg.optimizer = "sgd"
    optimizer = optim.build_optimizer(cfg, [torch.nn.Parameter(torch.zeros(1))])
    given = {option: args[option] for option in OPTIONS if option in args}
    schedule = WarmupRatioSchedule(WarmupRatioOptions(lr=args["lr"], **given), optimizer)
    assert optimizer.get_lr() == case["after_init"]
    assert schedule.step_update(0) == case["after_step_update_0"]
    if "total" in args:
        schedule.reinit(args["total"], args.get("resume", 0))
        assert optimizer.get_lr() == pytest.approx(case["after_reinit"], abs=1e-12)
        assert schedule.cfg.warmup_updates == case["warmup_updates"]
    assert schedule.step_begin_epoch(1) == pytest.approx(case["after_begin_epoch1"], abs=1e-12)
    for update, rate in case["step_update"]:
        assert schedule.step_update(update) == pytest.approx(rate, abs=1e-12)
    assert schedule.step_begin_epoch(2) == pytest.approx(case["begin_epoch2_after"], abs=1e-12)
