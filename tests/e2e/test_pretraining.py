"""Pretraining on all kinds of rows: logged losses, restart, and a use of the result."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from e2e_commands import (
    NETWORK,
    PLUGIN,
    TRAINING,
    Corpus,
    largest_difference,
    losses_by_update,
    num_updates,
    read_checkpoint,
    train_command,
    train_here,
)

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
    unbroken: tuple[Path, str], corpus: Corpus, tmp_path: Path
) -> None:
    rows = corpus.folder / "vqa_gen" / "valid.tsv"
    command = ["evaluate", str(rows), "--path", str(unbroken[0] / "checkpoint_last.pt"), "--cpu"]
    command += ["--task", "vqa_gen", "--zero-shot", "--selected-cols", "0,5,2,3,4"]
    command += ["--eval-args", '{"beam": 2, "max_len_b": 4}', "--no-report"]
    assert biomedgpt([*command, "--results-path", str(tmp_path)]) == 0
    found = (tmp_path / "predictions.jsonl").read_text("utf-8").splitlines()
    assert len(found) == 5 and all("answer" in json.loads(line) for line in found)


def test_fine_tuning_starts_from_the_pretrained_model(
    data: Path, unbroken: tuple[Path, str], corpus: Corpus, tmp_path: Path
) -> None:
    start = unbroken[0] / "checkpoint_last.pt"
    options = [
        "--bpe-dir",
        str(data / "vocabulary"),
        "--code-dict-size",
        "64",
        "--num-bins",
        "1000",
    ]
    options += ["--restore-file", str(start), "--reset-optimizer", "--reset-dataloader"]
    options += ["--reset-meters", "--max-update", "1", "--lr", "1e-20", "--disable-validation"]
    train_here(train_command(corpus, "vqa_gen", tmp_path, *options))
    tuned = read_checkpoint(tmp_path / "checkpoint_last.pt")
    assert num_updates(tuned) == 1 and tuned["cfg"]["task"]["_name"] == "vqa_gen"
    weights = [learnt(model) for model in (tuned["model"], read_checkpoint(start)["model"])]
    assert largest_difference(*weights) < 1e-6


def learnt(model: dict[str, Any]) -> dict[str, Any]:
    """Weights without the statistics of batches, which every update renews."""
    return {name: w for name, w in model.items() if "running_" not in name and "num_b" not in name}


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


def start_script(*options: str, **settings: str) -> subprocess.Popen[str]:
    places = {"VENV": str(Path(sys.executable).parent.parent), **settings}
    return subprocess.Popen(
        ["bash", str(SCRIPT), *options],
        env={**os.environ, "OMP_NUM_THREADS": "1", **places},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end_of(script: subprocess.Popen[str]) -> str:
    """What the script printed, when it ends."""
    shown, _ = script.communicate(timeout=300)
    assert script.returncode == 0, shown[-5000:]
    return shown


def test_script_follows_the_published_recipe() -> None:
    settings = {"DATA": "data", "BPE_DIR": "vocab", "RESTORE": "start.pt", "SIZE": "base"}
    settings |= {"DRY_RUN": "1", "GPUS": "1", "TEXT_DATA": "notes.tsv,pubmed.tsv"}
    shown = end_of(start_script(**settings)).replace("\\", "")
    for option in re.findall(r"--[a-z][^ ]*(?: [^- ][^ ]*)?", PUBLISHED):
        assert f" {option} " in shown


SMALL = {"SIZE": "micro", "PATCH": "32", "EPOCHS": "1", "CODES": "64", "NUM_WORKERS": "0"}


@pytest.mark.slow
def test_script_pretrains_on_phantoms(tmp_path: Path) -> None:
    settings = {**SMALL, "PHANTOMS": "16", "BATCH_SIZE": "8", "GPUS": "0", "RUN_DIR": str(tmp_path)}
    end_of(start_script("--sample-patch-num", "3", **settings))
    assert_trained(tmp_path, updates=2)


@pytest.mark.slow
def test_script_pretrains_on_two_machines(data: Path, tmp_path: Path) -> None:
    """In bf16, with little memory for activations; a second script plays the second machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {**SMALL, "PATCH": "48", "GPUS": "0", "BATCH_SIZE": "4", "PRECISION": "bf16"}
    settings |= {"DATA": str(data), "BPE_DIR": str(data / "vocabulary"), "RUN_DIR": str(tmp_path)}
    options = ["--sample-patch-num", "3", "--checkpoint-activations", "--max-update", "2"]
    machines = [start_script(*options, NODES="2", MASTER=address, **settings) for _ in range(2)]
    shown = [end_of(machine) for machine in machines]
    assert any("training on 2 devices" in text for text in shown)
    assert_trained(tmp_path, updates=2)


def assert_trained(run_dir: Path, updates: int) -> None:
    log = (run_dir / "checkpoints" / "train.log").read_text("utf-8")
    assert all(f'"valid_loss_{kind}"' in log for kind in KINDS)
    assert num_updates(read_checkpoint(run_dir / "checkpoints" / "checkpoint_last.pt")) == updates


def test_machines_need_the_address_of_one() -> None:
    script = start_script(NODES="2", DRY_RUN="1", MODE="train", DATA="data", BPE_DIR="vocab")
    shown, _ = script.communicate(timeout=60)
    assert script.returncode == 2 and "MASTER=HOST:PORT" in shown
