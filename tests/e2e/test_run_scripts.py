"""The scripts in run_scripts/ run, from the source of the data to the report."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from e2e_commands import read_checkpoint
from image_look_alikes import IMAGE_SETS
from look_alikes import TEST
from script_commands import (
    RECIPES,
    ROOT,
    SCRIPTS,
    SMALL,
    VENV,
    ZERO_SHOT,
    name_of,
    reported,
    run_script,
    start_script,
    succeeded,
)
from text_look_alikes import TEXT_SETS
from warm_programs import warm_programs

# This one starts its programs as a user does; the others find them warm, which saves 10 s each.
LITERAL = {"image_classify/medmnist"}
WITHOUT_TEST_ROWS = {"image_classify/chexpert"}
BUILDERS = IMAGE_SETS | TEXT_SETS
SHORT_TEXTS = {
    "VALID_EVAL_ARGS": '{"beam": 2, "max_len_b": 8}',
    "TEST_EVAL_ARGS": '{"beam": 2, "max_len_b": 8}',
}


def check_results(folder: Path, rows: int, wanted: list[str]) -> None:
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))["metrics"]
    assert set(wanted) <= metrics.keys()
    assert all(math.isfinite(metrics[name]["value"]) for name in wanted)
    assert len((folder / "predictions.jsonl").read_text("utf-8").splitlines()) >= rows
    page = (folder / "report.html").read_text("utf-8")
    assert "<svg" in page or "data:image/png" in page


def check_losses(run_dir: Path) -> None:
    log = (run_dir / "checkpoints" / "train.log").read_text("utf-8")
    for name in ("train_loss", "valid_loss"):
        losses = re.findall(rf'"{name}": "([^"]+)"', log)
        assert losses and all(math.isfinite(float(loss)) for loss in losses), log[-2000:]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """VENV of programs that start at once."""
    with warm_programs(tmp_path_factory.mktemp("warm"), ROOT) as folder:
        yield str(folder)


@pytest.fixture(scope="module")
def runs(
    warm: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[str, tuple[Path, Future[subprocess.CompletedProcess[str]]]]]:
    """The scripts of the chosen tests, two at a time: script -> its folder, its end."""
    items = [item for item in request.session.items if item.path == request.path]
    chosen = {item.callspec.params["recipe"] for item in items if hasattr(item, "callspec")}
    if any("vqa_rad" in item.fixturenames for item in items):
        chosen.add("vqa_gen/vqa_rad")
    folder = tmp_path_factory.mktemp("runs")
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: (folder / name / "run", pool.submit(run_recipe, name, folder / name, warm))
            for name in sorted(chosen)
        }


def run_recipe(name: str, folder: Path, warm: str) -> subprocess.CompletedProcess[str]:
    """Two updates of a script on a look-alike of its source."""
    (folder / "source").mkdir(parents=True)
    settings = BUILDERS[name](folder / "source")
    settings |= {**SMALL, **SHORT_TEXTS, "MAX_UPDATE": "2", "RUN_DIR": str(folder / "run")}
    if name.startswith("caption/"):
        settings["EVAL_OPTIONS"] = "--no-meteor"  # spares a java program
    venv = VENV if name in LITERAL else warm
    return start_script(SCRIPTS / f"{name}.sh", VENV=venv, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [name_of(path) for path in RECIPES])
def test_script_runs_from_source_to_report(recipe, runs) -> None:
    run_dir, ending = runs[recipe]
    done = succeeded(ending.result())
    results = run_dir / ("results_valid" if recipe in WITHOUT_TEST_ROWS else "results")
    assert str(results / "report.html") in done.stdout
    check_losses(run_dir)
    check_results(results, TEST, reported(SCRIPTS / f"{recipe}.sh"))
    last = read_checkpoint(run_dir / "checkpoints" / "checkpoint_last.pt")
    assert last["optimizer_history"][-1]["num_updates"] == 2
    assert any((run_dir / "checkpoints" / "tensorboard").glob("*/*tfevents*"))


@pytest.fixture(scope="module")
def vqa_rad(runs) -> Path:
    """Folder of the finished script of VQA-RAD."""
    run_dir, ending = runs["vqa_gen/vqa_rad"]
    succeeded(ending.result())
    return run_dir


@pytest.mark.slow
def test_pretrained_model_answers_without_training(vqa_rad, warm, tmp_path) -> None:
    settings = {
        "CHECKPOINT": str(vqa_rad / "checkpoints" / "checkpoint_best.pt"),
        "BPE_DIR": str(vqa_rad / "vocabulary"),
        "SOURCE": str(vqa_rad.parent / "source"),
        "RUN_DIR": str(tmp_path),
        "EVAL_OPTIONS": "--limit 8",
    }
    small = {name: value for name, value in SMALL.items() if name != "PATCH"}
    done = run_script(ZERO_SHOT, VENV=warm, **small, **settings)
    assert "--zero-shot" in done.stderr and "fairseq-train" not in done.stderr
    check_results(tmp_path / "results", 8, ["vqa_score"])


@pytest.mark.slow
def test_same_command_goes_on_where_it_stopped(warm, tmp_path) -> None:
    path = SCRIPTS / "mnli" / "mednli.sh"
    settings = {
        **BUILDERS["mnli/mednli"](tmp_path),
        **SMALL,
        "VENV": warm,
        "EVAL_OPTIONS": "--limit 8",
    }
    settings["RUN_DIR"] = str(tmp_path / "run")
    checkpoints = tmp_path / "run" / "checkpoints"
    run_script(path, **settings, MAX_UPDATE="1")
    data, metrics = tmp_path / "run" / "data" / "train.tsv", tmp_path / "run/results/metrics.json"
    before = data.stat().st_mtime_ns, metrics.stat().st_mtime_ns

    more = run_script(path, **settings, MAX_UPDATE="2")
    assert "Loaded checkpoint" in more.stderr + more.stdout
    again = run_script(path, **settings, MAX_UPDATE="2")
    assert "training is complete" in again.stderr and "fairseq-train" not in again.stderr
    assert data.stat().st_mtime_ns == before[0] and metrics.stat().st_mtime_ns > before[1]
    last = read_checkpoint(checkpoints / "checkpoint_last.pt")
    assert last["optimizer_history"][-1]["num_updates"] == 2


@pytest.mark.slow
def test_own_checkpoint_is_trained_further_on_some_rows(vqa_rad, warm, tmp_path) -> None:
    settings = {
        "RESTORE": str(vqa_rad / "checkpoints" / "checkpoint_best.pt"),
        "BPE_DIR": str(vqa_rad / "vocabulary"),
        "DATA": str(vqa_rad / "data"),
        "RUN_DIR": str(tmp_path),
        "TRAIN_LIMIT": "5",
        "VALID_SPLIT": "train",
        "EVAL_SPLIT": "train",
        "MAX_UPDATE": "1",
        "PRECISION": "bf16",
    }
    path = SCRIPTS / "vqa_gen" / "vqa_rad.sh"
    done = run_script(path, VENV=warm, **SMALL, **settings)
    assert "Loaded checkpoint" in done.stderr + done.stdout
    predictions = (tmp_path / "results_train" / "predictions.jsonl").read_text("utf-8")
    assert len(predictions.splitlines()) == 5
    table = (vqa_rad / "data" / "train.tsv").read_text("utf-8").splitlines()
    rows = (tmp_path / "train_5.tsv").read_text("utf-8").splitlines()
    places = [table.index(row) for row in rows]
    assert places == sorted(places) and places[-1] == len(table) - 1


@pytest.mark.slow
def test_fine_tuned_model_of_elsewhere_is_evaluated(vqa_rad, warm, tmp_path) -> None:
    best = str(vqa_rad / "checkpoints" / "checkpoint_best.pt")
    settings = {
        "RESTORE": best,
        "CHECKPOINT": best,
        "BPE_DIR": str(vqa_rad / "vocabulary"),
        "DATA": str(vqa_rad / "data"),
        "RUN_DIR": str(tmp_path),
        "EVAL_OPTIONS": "--limit 8 --bf16",
    }
    path = SCRIPTS / "vqa_gen" / "vqa_rad.sh"
    done = run_script(path, VENV=warm, MODE="eval", **SMALL, **settings)
    assert "--beam-search-vqa-eval" in done.stderr and "fairseq-train" not in done.stderr
    check_results(tmp_path / "results", 8, ["vqa_score"])


@pytest.mark.slow
def test_quickstart_trains_and_reports(warm, tmp_path) -> None:
    path = SCRIPTS / "quickstart.sh"
    done = run_script(path, RUN_DIR=str(tmp_path), ROWS="64", VENV=warm, **SMALL)
    assert str(tmp_path / "results" / "report.html") in done.stdout
    check_results(tmp_path / "results", 300, ["score"])


def test_every_recipe_has_a_look_alike() -> None:
    assert {name_of(path) for path in RECIPES} == BUILDERS.keys()
