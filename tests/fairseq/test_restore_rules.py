"""Starting, restarting and resuming the literal training program on fairseq's dummy task."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq import checkpoint_utils, options, trainer
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq_cli import train

from biomedgpt_fairseq.fairseq_checkpoint import arranged_weights, install

UPDATES_PER_EPOCH = 4


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    install()
    monkeypatch.delattr(checkpoint_utils.save_checkpoint, "best", raising=False)


def run(folder: Path, *extra: str) -> list[float]:
    """Train; returns the learning rate of each update."""
    args = ["--task=dummy_lm", "--dict-size=20", "--tokens-per-sample=8", "--batch-size=2"]
    args += [f"--dataset-size={2 * UPDATES_PER_EPOCH}", "--arch=transformer_lm", "--dropout=0.1"]
    args += ["--decoder-layers=1", "--decoder-embed-dim=8", "--decoder-attention-heads=2"]
    args += [
        "--decoder-ffn-embed-dim=8",
        "--decoder-learned-pos",
        "--criterion=cross_entropy",
        "--optimizer=adam",
    ]
    args += ["--lr-scheduler=polynomial_decay", "--lr=0.01", "--store-ema", "--ema-decay=0.5"]
    args += ["--ema-fp32", "--disable-validation", "--no-progress-bar", "--cpu", "--num-workers=0"]
    args += ["--distributed-world-size=1", f"--save-dir={folder}", *extra]
    parsed = options.parse_args_and_arch(options.get_training_parser(), input_args=args)
    rates = []
    stock = trainer.Trainer.train_step

    def train_step(self: Any, samples: Any, raise_oom: bool = False) -> Any:
        rates.append(self.get_lr())
        return stock(self, samples, raise_oom)

    trainer.Trainer.train_step = train_step
    try:
        train.main(convert_namespace_to_omegaconf(parsed))
    finally:
        trainer.Trainer.train_step = stock
    return rates


def load(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state


def assert_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        if not name.endswith("version"):
            assert torch.equal(value, second[name]), name


def test_missing_restore_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"--restore-file .*absent\.pt does not exist"):
        run(tmp_path, "--max-update=1", f"--restore-file={tmp_path / 'absent.pt'}")


def test_fresh_run_without_restore_file_starts(tmp_path):
    run(tmp_path, "--max-update=1")
    assert (tmp_path / "checkpoint_last.pt").is_file()


def test_restarted_run_goes_on_from_its_last_checkpoint(tmp_path, caplog):
    run(tmp_path / "pretrained", "--max-update=2")
    extra = [f"--restore-file={tmp_path / 'pretrained' / 'checkpoint_last.pt'}"]
    extra += ["--reset-optimizer", "--reset-dataloader", "--reset-meters", "--reset-lr-scheduler"]
    assert len(run(tmp_path / "run", "--max-update=3", *extra)) == 3
    with caplog.at_level(logging.INFO):
        assert len(run(tmp_path / "run", "--max-update=5", *extra)) == 2
    assert sum("do not apply" in record.message for record in caplog.records) == 1
    state = load(tmp_path / "run" / "checkpoint_last.pt")
    assert state["optimizer_history"][-1]["num_updates"] == 5


def test_restarted_run_that_had_ended_makes_no_update(tmp_path, caplog):
    assert len(run(tmp_path, "--max-update=3")) == 3
    before = (tmp_path / "checkpoint_last.pt").read_bytes()
    assert run(tmp_path, "--max-update=3") == []
    assert (tmp_path / "checkpoint_last.pt").read_bytes() == before
    assert "all 3 updates of --max-update were made before" in caplog.text


@pytest.mark.parametrize(
    ("warmup", "first"),
    [("--warmup-ratio=0.25", 2), ("--warmup-ratio=0.25", 4), ("--warmup-updates=2", 6)],
)
def test_resumed_run_equals_the_uninterrupted_one(tmp_path, warmup, first):
    whole = run(tmp_path / "whole", "--max-epoch=3", warmup)
    # Interrupted, not planned shorter: --max-update would change the schedule.
    halves = tmp_path / "halves"
    begun = run(
        halves, "--max-epoch=3", warmup, "--save-interval-updates=1", "--keep-interval-updates=-1"
    )
    assert begun == whole
    epoch = -(-first // UPDATES_PER_EPOCH)
    name = (
        f"checkpoint_{epoch}_{first}.pt" if first % UPDATES_PER_EPOCH else f"checkpoint{epoch}.pt"
    )
    (halves / name).replace(halves / "checkpoint_last.pt")
    rest = run(halves, "--max-epoch=3", warmup)
    assert rest == pytest.approx(whole[first:], abs=1e-15)
    want, got = (load(tmp_path / part / "checkpoint_last.pt") for part in ("whole", "halves"))
    assert_same(want["model"], got["model"])
    assert_same(want["extra_state"]["ema"], got["extra_state"]["ema"])
    assert_same(want["extra_state"]["ema_fp32_params"], got["extra_state"]["ema_fp32_params"])


def test_warmup_ratio_follows_max_epoch(tmp_path):
    rates = run(tmp_path, "--max-epoch=2", "--warmup-ratio=0.5", "--no-save")
    assert rates == pytest.approx([0, 0.0025, 0.005, 0.0075, 0.01, 0.0075, 0.005, 0.0025])


def test_warmup_ratio_follows_max_update(tmp_path):
    rates = run(tmp_path, "--max-update=4", "--warmup-ratio=0.5", "--no-save")
    assert rates == pytest.approx([0, 0.005, 0.01, 0.005])


def make_state() -> dict[str, Any]:
    extra = {"ema": {"w": 2.0, "b": 5.0}, "ema_fp32_params": {"w": 2.5}}
    return {"model": {"w": 1.0, "b": 1.0, "version": 3.0}, "extra_state": extra}


def make_cfg(store_ema: bool = True, grow: bool = False, **task: bool) -> SimpleNamespace:
    parts = {"task": task, "ema": {"store_ema": store_ema}, "model": {"grow_vocabulary": grow}}
    return SimpleNamespace(**{name: SimpleNamespace(**part) for name, part in parts.items()})


def test_model_starts_from_the_average_when_asked():
    cfg = make_cfg(use_ema_weights_to_init_param=True)
    got = arranged_weights(make_state(), cfg, False, "file")
    assert got["model"] == {"w": 2.5, "b": 5.0, "version": 3.0}
    assert got["extra_state"] == make_state()["extra_state"]


def test_average_starts_from_the_plain_weights_when_asked():
    cfg = make_cfg(use_latest_weights_to_init_ema=True)
    got = arranged_weights(make_state(), cfg, False, "file")
    assert got["extra_state"] == {"ema": make_state()["model"]}
    assert got["model"] == make_state()["model"]


def test_tables_that_grow_are_restored_by_the_model_alone():
    got = arranged_weights(make_state(), make_cfg(grow=True), False, "file")
    assert got["extra_state"] == {"ema": {"w": 2.5, "b": 5.0}}


def test_resumed_run_keeps_both_as_they_are():
    cfg = make_cfg(use_ema_weights_to_init_param=True, use_latest_weights_to_init_ema=True)
    assert arranged_weights(make_state(), cfg, True, "file") == make_state()


def test_wanted_but_absent_average_raises():
    with pytest.raises(ValueError, match="no averaged weights"):
        cfg = make_cfg(use_ema_weights_to_init_param=True)
        arranged_weights({"model": {"w": 1.0}}, cfg, False, "file")


def test_averaging_starts_from_a_file_without_average(tmp_path):
    run(tmp_path / "plain", "--max-update=2")
    path = tmp_path / "plain" / "checkpoint_last.pt"
    state = load(path)
    del state["extra_state"]["ema"], state["extra_state"]["ema_fp32_params"]
    path = tmp_path / "without_average.pt"
    torch.save(state, path)
    extra = [f"--restore-file={path}", "--reset-optimizer", "--reset-dataloader", "--lr=1e-20"]
    run(tmp_path / "tuned", "--max-update=1", *extra)
    got = load(tmp_path / "tuned" / "checkpoint_last.pt")["extra_state"]["ema"]
    assert_same(state["model"], got)


def test_run_with_a_damaged_last_checkpoint_resumes_from_the_one_before(tmp_path, caplog):
    options = ["--save-interval-updates=1", "--keep-interval-updates=1", "--no-epoch-checkpoints"]
    run(tmp_path, "--max-update=3", *options)
    last = tmp_path / "checkpoint_last.pt"
    sums = sorted(path.name for path in tmp_path.glob("*.sha256"))
    assert sums == [f"{path.name}.sha256" for path in sorted(tmp_path.glob("*.pt"))]
    last.write_bytes(last.read_bytes()[:-100])
    (tmp_path / "checkpoint_1_3.pt").unlink()
    with caplog.at_level(logging.WARNING):
        assert len(run(tmp_path, "--max-update=5", *options)) == 3  # updates 3, 4, 5
    assert any("checkpoint_previous.pt instead" in record.message for record in caplog.records)
    assert load(last)["optimizer_history"][-1]["num_updates"] == 5


def test_asynchronous_writing_is_refused(tmp_path):
    cfg = SimpleNamespace(write_checkpoints_asynchronously=True, save_dir=str(tmp_path))
    with pytest.raises(ValueError, match="--write-checkpoints-asynchronously"):
        checkpoint_utils.load_checkpoint(cfg, SimpleNamespace(checkpoint_suffix=""))
