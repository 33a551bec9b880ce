"""The page on adding a task, from its first line to its last: what it prints is what is run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_commands import ROOT, environment

PAGE = (ROOT / "docs" / "add_a_task.md").read_text("utf-8")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
BLOCKS = [(kind, text) for kind, text in BLOCK.findall(PAGE)]
MODULE = next(text for kind, text in BLOCKS if kind == "python")
SCRIPT = next(text for _, text in BLOCKS if text.startswith("#!"))
ROWS, COMMANDS = (text for kind, text in BLOCKS if kind == "bash" and text != SCRIPT)


def run(text: str, folder: Path) -> str:
    """What the commands print; the test fails with what they say when they fail."""
    settings = {"VENV": str(Path(sys.executable).parent.parent), "GPUS": "0", "NUM_WORKERS": "0"}
    path = f"{settings['VENV']}/bin:{environment()['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment(**settings, PATH=path),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the whole page was followed, and what its last commands printed."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("biomedgpt_fairseq", "run_scripts"):
        (folder / name).symlink_to(ROOT / name)
    run(ROWS, folder)
    (folder / "finding_status" / "__init__.py").write_text(MODULE, "utf-8")
    (folder / "finding_status.sh").write_text(SCRIPT, "utf-8")
    return folder, run(COMMANDS, folder)


def test_own_code_is_short() -> None:
    assert len(MODULE.splitlines()) <= 60


def test_model_learns_the_task_and_is_evaluated_by_its_metrics(
    finished: tuple[Path, str],
) -> None:
    folder, _ = finished
    found = json.loads((folder / "results" / "metrics.json").read_text("utf-8"))
    assert found["task"] == "finding_status" and found["rows"] == 9
    assert found["metrics"]["score"]["value"] == 1
    assert {"weighted F1", "AUC"} <= found["metrics"].keys()
    assert (folder / "results" / "report.html").is_file()


def test_user_is_answered(finished: tuple[Path, str]) -> None:
    last = json.loads(finished[1].splitlines()[-1])
    assert last["answer"] in ("present", "absent", "uncertain")
    assert sum(one["probability"] for one in last["candidates"]) == pytest.approx(1)
