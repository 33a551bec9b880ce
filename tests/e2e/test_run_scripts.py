"""The scripts in run_scripts/, from data to report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "run_scripts"
RECIPES = sorted(SCRIPTS.glob("*/*.sh"))
PROGRAMS = [SCRIPTS / "quickstart.sh", *(p for p in RECIPES if p.name != "train_and_evaluate.sh")]
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


def run_script(path, *options, **settings):
    environment = {**os.environ, "VENV": str(Path(sys.executable).parent.parent), **settings}
    done = subprocess.run(
        ["bash", str(path), *options], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done


def check_results(folder: Path, rows: int) -> None:
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert any("score" in str(entry) for entry in (metrics, *metrics))
    assert len((folder / "predictions.jsonl").read_text("utf-8").splitlines()) == rows
    page = (folder / "report.html").read_text("utf-8")
    assert "<svg" in page or "data:image/png" in page


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_help_is_shown(path):
    assert "Usage:" in run_script(path, "--help").stdout


@pytest.mark.slow
def test_quickstart_trains_and_reports(tmp_path):
    done = run_script(SCRIPTS / "quickstart.sh", RUN_DIR=str(tmp_path), ROWS="64", **SMALL)
    assert str(tmp_path / "results" / "report.html") in done.stdout
    check_results(tmp_path / "results", 300)


@pytest.mark.slow
def test_medmnist_recipe_runs_from_archive_to_report(tmp_path):
    rng = np.random.default_rng(5)
    sizes = {"train": 16, "val": 8, "test": 8}
    arrays = {f"{s}_images": rng.integers(0, 255, (n, 28, 28), np.uint8) for s, n in sizes.items()}
    arrays |= {f"{s}_labels": rng.integers(0, 2, (n, 1), np.uint8) for s, n in sizes.items()}
    np.savez(tmp_path / "pneumoniamnist.npz", **arrays)
    run_dir = tmp_path / "run"
    settings = {"NPZ": str(tmp_path / "pneumoniamnist.npz"), "RUN_DIR": str(run_dir)}
    run_script(SCRIPTS / "image_classify" / "medmnist.sh", **settings, **SMALL)
    check_results(run_dir / "results", 8)


@pytest.mark.slow
def test_image_folder_recipe_runs_from_pictures_to_report(tmp_path):
    rng = np.random.default_rng(6)
    rows = []
    for split, count in (("train", 8), ("valid", 4), ("test", 4)):
        for i in range(count):
            name = f"{split}_{i}.png"
            Image.fromarray(rng.integers(0, 255, (40, 36, 3), np.uint8)).save(tmp_path / name)
            rows.append(f"{name},{'mass' if i % 2 else 'no finding'},{split}")
    (tmp_path / "table.csv").write_text("path,label,split\n" + "\n".join(rows) + "\n")
    run_dir = tmp_path / "run"
    settings = {"IMAGES": str(tmp_path), "CSV": str(tmp_path / "table.csv")}
    path = SCRIPTS / "image_classify" / "image_folder.sh"
    run_script(path, RUN_DIR=str(run_dir), **settings, **SMALL)
    check_results(run_dir / "results", 4)


def test_dry_run_only_prints_the_commands(tmp_path):
    path = SCRIPTS / "image_classify" / "medmnist.sh"
    settings = {"NPZ": "pneumoniamnist.npz", "RUN_DIR": str(tmp_path / "run"), "GPUS": "2"}
    done = run_script(path, "--max-update", "3", DRY_RUN="1", **settings)
    assert "torchrun" in done.stderr and "--max-update 3" in done.stderr
    assert not (tmp_path / "run").exists()
