from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from biomedgpt_fairseq.cluster import slurm
from biomedgpt_fairseq.cluster.line import Line
from biomedgpt_fairseq.cluster.slurm import Resources, batch_script, parse_minutes, states, submit


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("24:00:00", 1440), ("0:30:01", 31), ("2-00", 2880), ("1-02:03", 1563)],
)
def test_time_is_read_as_slurm_writes_it(text: str, minutes: int) -> None:
    assert parse_minutes(text) == minutes


@pytest.mark.parametrize("text", ["", "1h", "10:00", "-5", "1:2:3:4"])
def test_bad_time_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="--time must be minutes, HH:MM:SS or D-HH:MM:SS"):
        parse_minutes(text)


def test_script_asks_for_resources_a_signal_and_requeueing() -> None:
    pytest.importorskip("submitit")
    more = {"partition": "gpu", "qos": "high"}
    resources = Resources("name", nodes=2, gpus=8, minutes=90, grace=33, more=more)
    text = batch_script([Line(("train",), {"SEED": "1"})], resources, Path("/runs/the jobs"))
    wanted = ["nodes=2", "gpus-per-node=8", "time=90", "signal=USR1@33", "requeue"]
    for option in [*wanted, "partition=gpu", "qos=high", "job-name=name", "ntasks-per-node=1"]:
        assert f"#SBATCH --{option}\n" in text
    assert "--array" not in text
    assert "submitit.core._submit '/runs/the jobs'" in text
    assert text.endswith("#   0: SEED=1 train")


def test_script_of_several_lines_is_an_array() -> None:
    pytest.importorskip("submitit")
    lines = [Line(("a",)), Line(("b",)), Line(("c",))]
    text = batch_script(lines, Resources(gpus=0, parallel=2), Path("/runs"))
    assert "#SBATCH --array=0-2%2\n" in text
    assert "gpus" not in text


def test_machine_without_slurm_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm.shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="no sbatch on this machine.*--local"):
        submit([Line(("a",))], Resources(), tmp_path)


def test_missing_submitit_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ValueError, match=r"pip install 'biomedgpt_fairseq\[cluster\]'"):
        batch_script([Line(("a",))], Resources(), Path("/runs"))


def test_state_is_that_of_the_queue_or_the_last_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [{"job": f"5_{i}", "line": "x"} for i in range(4)]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / "jobs.jsonl").write_text(text, "utf-8")
    (tmp_path / "5_0.events").write_text("t\tstarted\tx\nt\tinterrupted\t\n", "utf-8")
    (tmp_path / "5_1.events").write_text("t\tstarted\tx\nt\tfailed\tstatus 3\n", "utf-8")
    (tmp_path / "5_2.events").write_text("t\tstarted\tx\n", "utf-8")
    monkeypatch.setattr(slurm, "_queue", lambda: {"5_0": "pending"})
    found = {job: state for job, state, _ in states(tmp_path)}
    wanted = {"5_0": "pending", "5_1": "failed: status 3", "5_2": "killed", "5_3": "not started"}
    assert found == wanted


def test_folder_without_jobs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no jobs were submitted with --folder"):
        states(tmp_path)
    with pytest.raises(FileNotFoundError, match="job 3 has no logs"):
        slurm.log_files(tmp_path, "3")
