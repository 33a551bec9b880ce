"""Pretraining on all kinds of rows: logged losses, restart, and a use of the result."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_commands import NETWORK, PLUGIN, TRAINING, losses_by_update, train_here

from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.text.compact import train_compact_vocabulary

KINDS = ("image_text", "text", "image", "detection")
# Forty rows, eight an update: the third of six updates is in the middle of the first epoch.
RUN = "--batch-size 8 --sample-patch-num 5 --max-update 6 --save-interval-updates 1 --dropout 0.1"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrain")
    sizes = ["--train", "40", "--valid", "8", "--test", "0", "--size", "32", "--num-codes", "64"]
    assert biomedgpt(["phantoms", "--task", "pretrain", "--output", str(folder), *sizes]) == 0
    texts = (folder / "corpus.txt").read_text("utf-8").split("\n")
    train_compact_vocabulary(texts, 600, folder / "vocabulary")
    return folder


def pretrain(data: Path, save_dir: Path, *options: str) -> str:
    """Run or resume a pretraining; returns its log."""
    files = [f"{data / 'train.tsv'},{data / 'valid.tsv'}"]
    for kind in KINDS[1:]:
        files += [f"--{kind}-data", str(data / f"{kind}.tsv")]
        files += [f"--valid-{kind}-data", str(data / f"valid_{kind}.tsv")]
    return train_here(
        [
            *("fairseq-train", *files, "--user-dir", str(PLUGIN), "--task", "unify_task"),
            *("--bpe-dir", str(data / "vocabulary"), "--neg-sample-dir", str(data / "negatives")),
            *("--code-dict-size", "64", "--patch-image-size", "48", "--num-workers", "0"),
            *("--instruction-variants", "0.3", "--distributed-world-size", "1"),
            *(*NETWORK.split(), *TRAINING.split(), *RUN.split()),
            *("--save-dir", str(save_dir), *options),
        ]
    )


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    save_dir = tmp_path_factory.mktemp("unbroken")
    return save_dir, pretrain(data, save_dir)


def test_both_groups_and_every_kind_are_logged(unbroken: tuple[Path, str]) -> None:
    _, log = unbroken
    assert len(re.findall(r"train_inner \|.* loss_v1=[\d.]+.* loss_v2=[\d.]+", log)) == 6
    validations = [line for line in log.splitlines() if line.startswith("valid |")]
    for kind in KINDS:
        losses = [float(re.findall(rf" loss_{kind} ([\d.]+)", line)[0]) for line in validations]
        assert len(losses) >= 6 and losses[-1] < losses[0]
    assert "epoch 2: source text is seen 1.000 times, 2.000 times since the start" in log


def test_restart_within_an_epoch_repeats_the_unbroken_run(
    data: Path, unbroken: tuple[Path, str], tmp_path: Path
) -> None:
    shutil.copy(unbroken[0] / "checkpoint_1_3.pt", tmp_path / "checkpoint_last.pt")
    log = pretrain(data, tmp_path, "--disable-validation", "--num-workers", "1")
    assert "@ 3 updates" in log
    losses, wanted = losses_by_update(tmp_path), losses_by_update(unbroken[0])
    assert sorted(wanted) == [1, 2, 3, 4, 5, 6] and len(set(wanted.values())) == 6
    assert losses.keys() - {3} == {4, 5, 6}
    for update in (4, 5, 6):
        assert losses[update] == pytest.approx(wanted[update], rel=1e-6, abs=1e-6)


def test_restart_of_a_free_mixture_repeats_the_unbroken_run(data: Path, tmp_path: Path) -> None:
    weights = json.dumps({"train": 3, "text": 2, "image": 1, "detection": 1})
    options = ["--mixture-weights", weights, "--disable-validation", "--max-update", "4"]
    pretrain(data, tmp_path / "whole", *options)
    (tmp_path / "again").mkdir()
    last = tmp_path / "again" / "checkpoint_last.pt"
    shutil.copy(tmp_path / "whole" / "checkpoint_1_2.pt", last)
    pretrain(data, tmp_path / "again", *options)
    wanted, losses = losses_by_update(tmp_path / "whole"), losses_by_update(tmp_path / "again")
    for update in (3, 4):
        assert losses[update] == pytest.approx(wanted[update], rel=1e-6, abs=1e-6)


def test_pretrained_model_answers_questions_it_was_not_trained_on(
    unbroken: tuple[Path, str], corpus, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    rows = corpus.folder / "vqa_gen" / "valid.tsv"
    command = ["evaluate", str(rows), "--path", str(unbroken[0] / "checkpoint_last.pt"), "--cpu"]
    command += ["--task", "vqa_gen", "--zero-shot", "--selected-cols", "0,5,2,3,4"]
    command += ["--eval-args", '{"beam": 2, "max_len_b": 4}', "--no-report"]
    assert biomedgpt([*command, "--results-path", str(tmp_path)]) == 0
    found = (tmp_path / "predictions.jsonl").read_text("utf-8").splitlines()
    assert len(found) == 5 and all("answer" in json.loads(line) for line in found)


SCRIPT = PLUGIN.parent / "run_scripts" / "pretrain" / "pretrain.sh"
PUBLISHED = (
    "--arch ofa_base --fp16 --lr 5e-5 --max-epoch 20 --warmup-ratio 0.01 --batch-size 16 "
    "--update-freq 1 --label-smoothing 0.0 --max-src-length 80 --max-tgt-length 30 "
    "--patch-image-size 256 --clip-norm 5.0 --dropout 0.1 --encoder-drop-path-rate 0.1 "
    "--decoder-drop-path-rate 0.1 --sample-patch-num 196 --max-image-size 512 "
    "--disable-validation --save-interval 10 --fp16-scale-window 128 --code-dict-size 8192 "
    "--num-bins 1000 --neg-sample-dir data/negatives --text-data notes.tsv,pubmed.tsv "
    "--image-data data/image.tsv --detection-data data/detection.tsv"
)


def run_script(*options: str, **settings: str) -> str:
    """What the script printed."""
    places = {"VENV": str(Path(sys.executable).parent.parent), **settings}
    done = subprocess.run(
        ["bash", str(SCRIPT), *options],
        env={**os.environ, "OMP_NUM_THREADS": "1", **places},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def test_script_follows_the_published_recipe() -> None:
    settings = {"DATA": "data", "BPE_DIR": "vocab", "RESTORE": "start.pt", "SIZE": "base"}
    shown = run_script(DRY_RUN="1", GPUS="1", TEXT_DATA="notes.tsv,pubmed.tsv", **settings)
    shown = shown.replace("\\", "")
    for option in re.findall(r"--[a-z][^ ]*(?: [^- ][^ ]*)?", PUBLISHED):
        assert f" {option} " in shown


@pytest.mark.slow
def test_script_pretrains_on_phantoms(tmp_path: Path) -> None:
    small = {"PHANTOMS": "8", "SIZE": "micro", "PATCH": "32", "EPOCHS": "1", "BATCH_SIZE": "8"}
    small |= {"GPUS": "0", "NUM_WORKERS": "0", "CODES": "64", "RUN_DIR": str(tmp_path)}
    run_script("--sample-patch-num", "3", **small)
    log = (tmp_path / "checkpoints" / "train.log").read_text("utf-8")
    assert all(f'"valid_loss_{kind}"' in log for kind in KINDS)
    assert (tmp_path / "checkpoints" / "checkpoint_last.pt").is_file()
