"""A run whose last checkpoint is damaged resumes from the newest sound one."""

import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq_compat.atomic_save import save_object
from fairseq_compat.safe_load import load

from biomedgpt_fairseq.fairseq_recovery import damage, recover_last, replace_if_damaged


def save(path: Path, value: int) -> Path:
    save_object({"model": {"w": torch.full((500,), float(value))}}, str(path))
    return path


def value(path: Path) -> int:
    return int(load(path)["model"]["w"][0])


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.fixture
def run(tmp_path):
    """Folder of a run: update 1 under its own name, 2 as the previous, 3 as the last."""
    save(tmp_path / "checkpoint_1_1.pt", 1)
    for number in (2, 3):
        save(tmp_path / "checkpoint_last.pt", number)
    return tmp_path


@pytest.mark.parametrize("with_sum", [True, False])
@pytest.mark.parametrize("harm", [flip_bit, cut, empty])
def test_damaged_last_checkpoint_is_replaced_by_the_one_before(run, harm, with_sum, caplog):
    last = run / "checkpoint_last.pt"
    if not with_sum:
        Path(f"{last}.sha256").unlink()
    harm(last)
    harmed = last.read_bytes()
    with caplog.at_level(logging.WARNING):
        assert replace_if_damaged(last) == run / "checkpoint_previous.pt"
    assert value(last) == value(run / "checkpoint_previous.pt") == 2
    assert (run / "checkpoint_last.pt.damaged").read_bytes() == harmed
    why, instead = (record.getMessage() for record in caplog.records)
    assert why.startswith(f"{last}: ")
    assert f"resuming from {run / 'checkpoint_previous.pt'} instead" in instead
    assert replace_if_damaged(last) is None


def test_next_best_is_taken_when_several_are_damaged(run, caplog):
    for name in ("checkpoint_last.pt", "checkpoint_previous.pt"):
        flip_bit(run / name)
    assert replace_if_damaged(run / "checkpoint_last.pt") == run / "checkpoint_1_1.pt"
    assert value(run / "checkpoint_last.pt") == 1


def test_nothing_is_changed_when_none_is_sound(run):
    for path in run.glob("*.pt"):
        flip_bit(path)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(ValueError, match=r"no sound checkpoint.*last\.pt.*previous\.pt.*1_1\.pt"):
        replace_if_damaged(run / "checkpoint_last.pt")
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_sound_last_checkpoint_is_left_alone(run):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert replace_if_damaged(run / "checkpoint_last.pt") is None
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_old_format_is_judged_by_reading_it(tmp_path):
    path = tmp_path / "checkpoint_last.pt"
    torch.save({"w": torch.ones(9)}, path, _use_new_zipfile_serialization=False)
    assert damage(path) is None
    cut(path)
    assert str(damage(path)).startswith(str(path))


def make_trainer(suffix: str, rank: int = 0) -> SimpleNamespace:
    return SimpleNamespace(
        checkpoint_suffix=suffix, data_parallel_rank=rank, data_parallel_world_size=1
    )


def test_shard_is_not_mixed_with_those_of_another_update(tmp_path):
    for number in (1, 2):
        save(tmp_path / "checkpoint_last-shard0.pt", number)
    recover_last(make_trainer("-shard0"), str(tmp_path))
    flip_bit(tmp_path / "checkpoint_last-shard0.pt")
    with pytest.raises(ValueError, match="put the shards of an earlier checkpoint"):
        recover_last(make_trainer("-shard0"), str(tmp_path))


def test_shards_do_not_stand_in_for_a_whole_checkpoint(run):
    save(run / "checkpoint_1_9-shard0.pt", 9)
    flip_bit(run / "checkpoint_last.pt")
    recover_last(make_trainer(""), str(run))
    assert value(run / "checkpoint_last.pt") == 2


def test_only_the_first_worker_replaces(run):
    flip_bit(run / "checkpoint_last.pt")
    recover_last(make_trainer("", rank=1), str(run))
    assert not (run / "checkpoint_last.pt.damaged").exists()


def test_new_run_has_nothing_to_recover(tmp_path):
    recover_last(make_trainer(""), str(tmp_path / "absent"))
