"""The scripts in run_scripts/, from data to report."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from e2e_commands import read_checkpoint
from look_alikes import BUILDERS, TEST
from warm_programs import warm_programs

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "run_scripts"
ZERO_SHOT = SCRIPTS / "vqa_gen" / "zero_shot.sh"
PRETRAIN = SCRIPTS / "pretrain" / "pretrain.sh"  # test_pretraining.py runs it
RECIPES = sorted(path for path in SCRIPTS.glob("*/*.sh") if path not in (ZERO_SHOT, PRETRAIN))
PROGRAMS = [SCRIPTS / "quickstart.sh", ZERO_SHOT, PRETRAIN, *RECIPES]
# These start their programs as a user does; the others find them warm, which saves 10 s each.
LITERAL = {"vqa_gen/vqa_rad", "gigaword/meqsum"}
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
SHORT_TEXTS = {
    "VALID_EVAL_ARGS": '{"beam": 2, "max_len_b": 8}',
    "TEST_EVAL_ARGS": '{"beam": 2, "max_len_b": 8}',
}
PUBLISHED = {
    "vqa_gen/vqa_rad": "--lr 5e-5 --max-epoch 100 --warmup-ratio 0.04 --batch-size 64 "
    "--update-freq 4 --label-smoothing 0.1 --max-src-length 80 --max-tgt-length 40 "
    "--patch-image-size 256 --prompt-type prev_output --add-object --max-object-length 30 "
    "--ema-decay 0.9999 --ema-fp32 --uses-ema --freeze-encoder-embedding "
    "--freeze-decoder-embedding --val-inference-type beamsearch --keep-last-epochs 1 "
    "--best-checkpoint-metric vqa_score --selected-cols 0,5,2,3,4 --fixed-validation-seed 7",
    "caption/peir_gross": "--lr 1e-5 --max-epoch 100 --warmup-ratio 0.06 --batch-size 16 "
    "--update-freq 4 --label-smoothing 0.1 --max-src-length 80 --max-tgt-length 20 "
    "--patch-image-size 480 --drop-worst-ratio 0.2 --drop-worst-after 600 --eval-cider "
    "--best-checkpoint-metric cider --freeze-encoder-embedding --selected-cols 0,4,2 "
    '--eval-args {"beam":5,"max_len_b":16,"no_repeat_ngram_size":3} '
    "--save-interval-updates 500",
    "image_classify/medmnist": "--lr 5e-5 --max-epoch 5 --warmup-ratio 0.6 --batch-size 64 "
    "--update-freq 4 --patch-image-size 384 --imagenet-default-mean-and-std "
    "--augmentation released --best-checkpoint-metric score --fixed-validation-seed 9",
    "mnli/mednli": "--lr 7e-5 --max-epoch 200 --warmup-ratio 0.06 --batch-size 32 "
    "--update-freq 2 --label-smoothing 0.0 --max-src-length 512 --max-tgt-length 30 "
    "--prompt-type src --fp16-init-scale 16 --best-checkpoint-metric acc",
    "gigaword/meqsum": "--lr 1e-3 --max-epoch 300 --batch-size 8 --update-freq 4 "
    "--max-src-length 512 --max-tgt-length 128 --noise-ratio 0.2 --eval-rouge "
    '--eval-args {"beam":10,"lenpen":0.7,"max_len_b":256,"no_repeat_ngram_size":3} '
    "--best-checkpoint-metric rougeL_f1 --save-interval-updates 2500",
}
COMMON = (
    "--dropout 0.1 --attention-dropout 0.0 --encoder-drop-path-rate 0.1 --fp16 "
    "--decoder-drop-path-rate 0.1 --resnet-drop-path-rate 0.0 --clip-norm 1.0 --weight-decay 0.01 "
    "--adam-betas (0.9,0.999) --adam-eps 1e-8 --code-dict-size 8192 --num-bins 1000 "
    "--fp16-scale-window 512 --reset-optimizer --reset-dataloader --reset-meters"
)


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


def check_results(run_dir: Path, rows: int, wanted: list[str]) -> None:
    folder = run_dir / "results"
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


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """VENV of programs that start at once."""
    with warm_programs(tmp_path_factory.mktemp("warm"), ROOT) as folder:
        yield str(folder)


@pytest.fixture(scope="module")
def runs(
    warm: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[str, tuple[Path, Future[subprocess.CompletedProcess[str]]]]]:
    """The scripts of the chosen tests, two at a time: script -> its folder, its end."""
    calls = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    chosen = {params["recipe"] for params in calls if "recipe" in params}
    folder = tmp_path_factory.mktemp("runs")
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: (folder / name / "run", pool.submit(run_recipe, name, folder / name, warm))
            for name in sorted(chosen | {"vqa_gen/vqa_rad"})
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
    assert str(run_dir / "results" / "report.html") in done.stdout
    check_losses(run_dir)
    check_results(run_dir, TEST, reported(SCRIPTS / f"{recipe}.sh"))
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
    check_results(tmp_path, 8, ["vqa_score"])


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
def test_quickstart_trains_and_reports(warm, tmp_path) -> None:
    path = SCRIPTS / "quickstart.sh"
    done = run_script(path, RUN_DIR=str(tmp_path), ROWS="64", VENV=warm, **SMALL)
    assert str(tmp_path / "results" / "report.html") in done.stdout
    check_results(tmp_path, 300, ["score"])


@pytest.mark.parametrize("path", PROGRAMS, ids=name_of)
def test_help_shows_usage_recipe_and_defaults(path) -> None:
    shown = run_script(path, "--help").stdout
    assert "Usage: " in shown and "LR=" in shown
    if path in RECIPES:
        column = column_of(path)
        published = name_of(path) in PUBLISHED and f"published recipe ({column})" in shown
        assert published or "nearest published set" in shown
        assert column in shown


def test_every_recipe_has_a_look_alike() -> None:
    assert {name_of(path) for path in RECIPES} == BUILDERS.keys()


def test_table_has_a_value_in_every_cell() -> None:
    header, rows = read_table()
    assert header[:2] == ["setting", "start"]
    assert {row["start"] for row in rows} == {"any", "scratch"}
    assert all(row[name] for row in rows for name in header)
    names = [(row["setting"], row["start"]) for row in rows]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", PUBLISHED)
def test_fine_tuning_follows_the_published_recipe(name) -> None:
    restored = {"RESTORE": "released.pt", "BPE_DIR": "vocab"}
    command = training_command(SCRIPTS / f"{name}.sh", **restored)
    for option in re.findall(r"--[a-z][^ ]*(?: [^- ][^ ]*)?", f"{PUBLISHED[name]} {COMMON}"):
        assert f" {option} " in command
    assert "--restore-file released.pt" in command


def test_large_models_have_their_own_batches() -> None:
    restored = {"RESTORE": "released.pt", "BPE_DIR": "vocab", "SIZE": "base"}
    command = training_command(SCRIPTS / "vqa_gen" / "vqa_rad.sh", **restored)
    assert " --batch-size 16 " in command and " --patch-image-size 384 " in command


def test_start_from_scratch_has_a_vocabulary_of_its_own(tmp_path) -> None:
    path = SCRIPTS / "vqa_gen" / "slake.sh"
    train, evaluate, *rest = dry_run(path, MODE="all", RUN_DIR=str(tmp_path))[1:]
    assert f"vocab train {tmp_path}/data/train.tsv --column 2,3,4" in train
    command = training_command(path, RUN_DIR=str(tmp_path))
    assert " --code-dict-size 0 --num-bins 0 " in command and "--restore-file" not in command
    assert " --freeze-encoder-embedding " not in command
    released = training_command(path, RUN_DIR=str(tmp_path), BPE_DIR="released")
    assert " --code-dict-size 8192 --num-bins 1000 " in released


def test_every_setting_can_be_overridden() -> None:
    fixed = {"TASK", "SIZES", "DEVICES", "REPORTED", "VOCAB_SIZE"}
    names = [
        name for name in dict.fromkeys(r["setting"] for r in read_table()[1]) if name not in fixed
    ]
    chosen = {name: f"v{number}" for number, name in enumerate(names)}
    chosen |= {"FREEZE_EMBEDDING": "yes", "FREEZE_RESNET": "yes", "PRECISION": "fp16"}
    chosen |= {"TEST_SEARCH": "beamsearch"}
    shown = " ".join(dry_run(SCRIPTS / "vqa_gen" / "slake.sh", VOCAB_SIZE="777", **chosen))
    replaced = {
        "FREEZE_EMBEDDING": "--freeze-decoder-embedding",
        "FREEZE_RESNET": "--freeze-resnet",
    }
    replaced |= {"PRECISION": "--fp16", "TEST_SEARCH": "--beam-search-vqa-eval"}
    for name, value in chosen.items():
        assert f" {replaced.get(name, value)} " in shown, name
    assert " --size 777 " in shown


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"RESTORE": "released.pt"}, "needs the vocabulary of that model: BPE_DIR="),
        ({"SOURCE": ""}, "name the data set, SOURCE="),
        ({"PRECISION": "fp16"}, "PRECISION=fp16 needs a GPU"),
    ],
)
def test_missing_setting_is_named(settings, reason, tmp_path) -> None:
    settings = {"SOURCE": "x", "GPUS": "0", "RUN_DIR": str(tmp_path), "DRY_RUN": "1", **settings}
    done = start_script(SCRIPTS / "gigaword" / "meqsum.sh", **settings)
    assert done.returncode == 2 and reason in done.stderr


def test_dry_run_only_prints_the_commands(tmp_path) -> None:
    path = SCRIPTS / "image_classify" / "medmnist.sh"
    settings = {"NPZ": "pneumoniamnist.npz", "RUN_DIR": str(tmp_path / "run"), "GPUS": "2"}
    command = training_command(path, "--max-update", "3", PRECISION="bf16", **settings)
    assert "torchrun" in command and "--max-update 3" in command and " --bf16 " in command
    assert "--find-unused-parameters" in command and " --tensorboard-logdir " in command
    assert not (tmp_path / "run").exists()
