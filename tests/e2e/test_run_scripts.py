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
    column_of,
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
# One of each column of the table of defaults.
FIRST_OF_COLUMN = list({column_of(path): name_of(path) for path in reversed(RECIPES)}.values())
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


@pytest.fixture
def finished(recipe: str, runs) -> Path:
    """Folder of the finished run of a script."""
    run_dir, ending = runs[recipe]
    succeeded(ending.result())
    return run_dir


def start_from(run_dir: Path) -> dict[str, str]:
    """Settings of a start from the weights of a run, on its data."""
    return {
        "RESTORE": str(run_dir / "checkpoints" / "checkpoint_best.pt"),
        "BPE_DIR": str(run_dir / "vocabulary"),
        "DATA": str(run_dir / "data"),
    }


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
@pytest.mark.parametrize("recipe", FIRST_OF_COLUMN)
def test_own_checkpoint_is_trained_by_the_published_recipe(recipe, finished, warm, tmp_path):
    settings = {**SMALL, **start_from(finished), "RUN_DIR": str(tmp_path), "MODE": "train"}
    settings |= {"MAX_UPDATE": "1", "VALID_EVAL_ARGS": '{"beam": 2, "max_len_b": 40}'}
    done = run_script(SCRIPTS / f"{recipe}.sh", VENV=warm, PRECISION="bf16", **settings)
    assert f"Loaded checkpoint {settings['RESTORE']}" in done.stderr + done.stdout
    assert " --bf16 " in done.stderr
    check_losses(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["vqa_gen/vqa_rad"])
def test_rows_are_chosen_and_learnt_by_heart(recipe, finished, warm, tmp_path) -> None:
    settings = {"DATA": str(finished / "data"), "BPE_DIR": str(finished / "vocabulary")}
    settings |= {"TRAIN_LIMIT": "5", "VALID_SPLIT": "train", "EVAL_SPLIT": "train"}
    settings |= {**SMALL, "RUN_DIR": str(tmp_path), "MAX_UPDATE": "1"}
    run_script(SCRIPTS / f"{recipe}.sh", VENV=warm, **settings)
    predictions = (tmp_path / "results_train" / "predictions.jsonl").read_text("utf-8")
    assert len(predictions.splitlines()) == 5
    table = (finished / "data" / "train.tsv").read_text("utf-8").splitlines()
    rows = (tmp_path / "train_5.tsv").read_text("utf-8").splitlines()
    places = [table.index(row) for row in rows]
    assert places == sorted(places) and places[-1] == len(table) - 1


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["vqa_gen/vqa_rad"])
def test_fine_tuned_checkpoint_is_evaluated(recipe, finished, warm, tmp_path) -> None:
    settings = {**SMALL, **start_from(finished), "RUN_DIR": str(tmp_path), "MODE": "eval"}
    settings |= {"CHECKPOINT": settings["RESTORE"], "EVAL_OPTIONS": "--limit 8 --bf16"}
    done = run_script(SCRIPTS / f"{recipe}.sh", VENV=warm, **settings)
    assert "--beam-search-vqa-eval" in done.stderr and "fairseq-train" not in done.stderr
    check_results(tmp_path / "results", 8, ["vqa_score"])


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["vqa_gen/vqa_rad"])
def test_pretrained_model_answers_without_training(recipe, finished, warm, tmp_path) -> None:
    settings = {
        "CHECKPOINT": str(finished / "checkpoints" / "checkpoint_best.pt"),
        "BPE_DIR": str(finished / "vocabulary"),
        "SOURCE": str(finished.parent / "source"),
        "RUN_DIR": str(tmp_path),
        "EVAL_OPTIONS": "--limit 8",
    }
    small = {name: value for name, value in SMALL.items() if name != "PATCH"}
    done = run_script(ZERO_SHOT, VENV=warm, **small, **settings)
    assert "--zero-shot" in done.stderr and "fairseq-train" not in done.stderr
    check_results(tmp_path / "results", 8, ["vqa_score"])


@pytest.mark.slow
def test_quickstart_trains_and_reports(warm, tmp_path) -> None:
    path = SCRIPTS / "quickstart.sh"
    done = run_script(path, RUN_DIR=str(tmp_path), ROWS="64", VENV=warm, **SMALL)
    assert str(tmp_path / "results" / "report.html") in done.stdout
    check_results(tmp_path / "results", 300, ["score"])


def test_every_recipe_has_a_look_alike() -> None:
    assert {name_of(path) for path in RECIPES} == BUILDERS.keys()
