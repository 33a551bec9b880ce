from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from biomedgpt_fairseq.cluster.job import INTERRUPTED, Job, distributed
from biomedgpt_fairseq.cluster.line import Line

# As a program that saves its state: says when it is ready, and ends with 75 when told to stop.
SAVING = """
import signal, sys, time, pathlib
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(75))
pathlib.Path("ready").touch()
time.sleep(60)
"""


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SUBMITIT_FOLDER", str(tmp_path))
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    return tmp_path / "7_2.events"


def names(path: Path) -> list[str]:
    return [line.split("\t")[1] for line in path.read_text("utf-8").splitlines()]


def test_line_runs_with_its_settings_and_is_noted(events: Path, tmp_path: Path) -> None:
    line = Line(("bash", "-c", "echo $A $GPUS >out"), {"A": "x"})
    assert Job(line, str(tmp_path), gpus=3)() == 0
    assert (tmp_path / "out").read_text() == "x 3\n"
    assert names(events) == ["started", "finished"]


def test_failure_is_an_error_with_the_status(events: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="bash -c 'exit 3' ended with status 3"):
        Job(Line(("bash", "-c", "exit 3")), str(tmp_path), 0)()
    assert names(events) == ["started", "failed"]


def test_program_that_saved_its_state_ends_the_job_as_interrupted(
    events: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as stopped:
        Job(Line(("bash", "-c", f"exit {INTERRUPTED}")), str(tmp_path), 0)()
    assert stopped.value.code == INTERRUPTED
    assert names(events) == ["started", "interrupted"]


def test_signal_handler_lets_the_program_save_through_a_script(
    events: Path, tmp_path: Path
) -> None:
    """As submitit does: its handler calls checkpoint while the call waits for the program."""
    pytest.importorskip("submitit")
    (tmp_path / "work.py").write_text(SAVING)
    script = f"{sys.executable} work.py; status=$?; echo $status >status; exit $status"
    job = Job(Line(("bash", "-c", script)), str(tmp_path), 0)
    again = []

    def interrupt() -> None:
        while not (tmp_path / "ready").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGUSR2)

    before = signal.signal(signal.SIGUSR2, lambda *_: again.append(job.checkpoint()))
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(SystemExit):
            job()
    finally:
        signal.signal(signal.SIGUSR2, before)
        thread.join()
    assert (tmp_path / "status").read_text() == f"{INTERRUPTED}\n"
    assert again[0].function == Job(job.line, str(tmp_path), 0)


def test_one_node_is_told_of_its_gpus_only() -> None:
    line = distributed(Line(("fairseq-train", "x"), {"A": "1"}), 8, {})
    assert line == Line(("fairseq-train", "x"), {"GPUS": "8", "A": "1"})


def test_several_nodes_meet_at_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "check_output", lambda *_, **__: "node3\nnode7\n")
    cluster = {"SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_ID": "41", "SLURM_JOB_NODELIST": "node[3,7]"}
    script = distributed(Line(("bash", "run.sh")), 4, cluster)
    assert script.words == ("bash", "run.sh")
    assert script.settings == {"NODES": "2", "MASTER": "node3:20041", "GPUS": "4"}
    direct = distributed(Line(("/somewhere/fairseq-train", "data")), 4, cluster)
    assert " ".join(direct.words) == (
        "torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint node3:20041 "
        "--rdzv-id 41 /somewhere/fairseq-train data"
    )
