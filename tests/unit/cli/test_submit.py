from __future__ import annotations

from pathlib import Path

import pytest

from biomedgpt_fairseq.cli.main import main
from biomedgpt_fairseq.cluster.job import INTERRUPTED


def test_line_runs_here_once_for_every_value(capfd: pytest.CaptureFixture[str]) -> None:
    line = ["--", "NAME=run{SEED}", "bash", "-c", "echo $NAME $SEED"]
    assert main(["submit", "--local", "--vary", "SEED=1,2", *line]) == 0
    assert capfd.readouterr().out == "run1 1\nrun2 2\n"


def test_first_failure_here_ends_it_with_its_status(capfd: pytest.CaptureFixture[str]) -> None:
    line = ["--", "bash", "-c", "echo {A}; exit {A}"]
    assert main(["submit", "--local", "--vary", "A=0,4,5", *line]) == 4
    assert capfd.readouterr().out == "0\n4\n"


def test_script_is_shown_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("submitit")
    folder = tmp_path / "jobs"
    options = ["--mem", "64G", "--cpus", "12", "--time", "1-00:00:00", "--sbatch", "qos=high"]
    command = ["submit", "--dry-run", "--folder", str(folder), *options, "--", "true"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    for option in ("mem=64G", "cpus-per-task=12", "time=1440", "qos=high"):
        assert f"#SBATCH --{option}\n" in shown
    assert not folder.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to run"),
        (["--dry-run", "--gpus", "-1", "--", "true"], "--gpus 0 or more"),
        (["--dry-run", "--sbatch", "qos", "--", "true"], "--sbatch must be NAME=VALUE"),
        (["--status", "--folder", "/nowhere"], "no jobs were submitted"),
    ],
)
def test_error_of_the_user(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", *words]) == 2
    assert message in capsys.readouterr().err


def test_logs_of_a_job_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "5_0_0_log.out").write_text("first\n")
    (tmp_path / "5_1_0_log.out").write_text("second\n")
    assert main(["submit", "--folder", str(tmp_path), "--logs", "5"]) == 0
    shown = capsys.readouterr().out
    assert "first" in shown and "second" in shown


def test_training_ends_with_the_status_that_jobs_expect() -> None:
    interruption = pytest.importorskip("biomedgpt_fairseq.fairseq_interruption")
    assert interruption.INTERRUPTED == INTERRUPTED
