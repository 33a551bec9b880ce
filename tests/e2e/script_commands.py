"""The scripts in run_scripts/: which there are, how they are started, and their defaults."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "run_scripts"
ZERO_SHOT = SCRIPTS / "vqa_gen" / "zero_shot.sh"
PRETRAIN = SCRIPTS / "pretrain" / "pretrain.sh"  # test_pretraining.py runs it
RECIPES = sorted(path for path in SCRIPTS.glob("*/*.sh") if path not in (ZERO_SHOT, PRETRAIN))
PROGRAMS = [SCRIPTS / "quickstart.sh", ZERO_SHOT, PRETRAIN, *RECIPES]
VENV = str(Path(sys.executable).parent.parent)
SMALL = {
    "SIZE": "micro",
    "PATCH": "32",
    "EPOCHS": "1",
    "BATCH_SIZE": "8",
    "NUM_WORKERS": "0",
    "GPUS": "0",
    "OMP_NUM_THREADS": "1",
    "SKIP_SETUP": "1",
}


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def start_script(path: Path, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VENV": VENV, **settings}
    command = ["bash", str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def succeeded(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done


def run_script(path: Path, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return succeeded(start_script(path, *options, **settings))


def dry_run(path: Path, *options: str, **settings: str) -> list[str]:
    """The commands that a script would run, without quoting."""
    settings = {"GPUS": "1", "SOURCE": "source", "DRY_RUN": "1", **settings}
    shown = run_script(path, *options, **settings).stderr
    return [line.replace("\\", "") + " " for line in shown.splitlines() if line.startswith("+ ")]


def training_command(path: Path, *options: str, **settings: str) -> str:
    found = [line for line in dry_run(path, *options, **settings) if "fairseq-train" in line]
    assert len(found) == 1
    return found[0]


def read_table() -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of the table of defaults."""
    lines = (SCRIPTS / "defaults.tsv").read_text("utf-8").splitlines()
    header, *rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return header, [dict(zip(header, row, strict=True)) for row in rows]


def column_of(path: Path) -> str:
    found = re.search(r"^run_recipe (\S+)", path.read_text("utf-8"), re.MULTILINE)
    assert found
    return found[1]


def reported(path: Path) -> list[str]:
    row = next(row for row in read_table()[1] if row["setting"] == "REPORTED")
    return row[column_of(path)].split(",")
