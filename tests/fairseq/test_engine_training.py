"""Stock tasks and models through the literal console scripts, on CPU."""

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("fairseq")

ENGINE = Path(__file__).parents[2] / "engine"
SCRIPTS = Path(sys.executable).parent
TRAIN = (
    "--task language_modeling --arch transformer_lm --decoder-layers 1 --decoder-embed-dim 16 "
    "--decoder-ffn-embed-dim 16 --decoder-attention-heads 2 --tokens-per-sample 16 "
    "--optimizer adam --lr 1e-3 --lr-scheduler inverse_sqrt --batch-size 8 "
    "--num-workers 0 --log-format simple --log-interval 1 --cpu"
)


def command(name: str, *arguments: object, prefix: str = "") -> subprocess.CompletedProcess[str]:
    """Run a console script of fairseq; prefix: shell commands to run before it."""
    environment = {**os.environ, "PYTHONPATH": str(ENGINE), "OMP_NUM_THREADS": "1"}
    words = [str(SCRIPTS / name), *map(str, arguments)]
    return subprocess.run(
        ["bash", "-c", prefix + 'exec "$@"', "bash", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def train(data: Path, save: Path, *options: object, prefix: str = ""):
    world = [] if "--distributed-world-size" in options else ["--distributed-world-size", "1"]
    return command(
        "fairseq-train", data, *TRAIN.split(), "--save-dir", save, *options, *world, prefix=prefix
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    draw = random.Random(0)
    for split, rows in (("train", 64), ("valid", 8)):
        lines = [" ".join(draw.choices("abcdefgh", k=draw.randint(3, 9))) for _ in range(rows)]
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
    texts = ["--trainpref", folder / "train.txt", "--validpref", folder / "valid.txt"]
    result = command("fairseq-preprocess", "--only-source", *texts, "--destdir", folder / "bin")
    assert result.returncode == 0, result.stderr
    return folder / "bin"


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> Path:
    """Save folder of a run of three updates with averaging."""
    save = tmp_path_factory.mktemp("trained")
    result = train(data, save, "--max-update", 3, "--store-ema", "--ema-fp32")
    assert result.returncode == 0, result.stderr
    return save


def updates(save: Path) -> int:
    state = torch.load(save / "checkpoint_last.pt")  # weights only, no allow-list
    return int(state["optimizer_history"][-1]["num_updates"])


def test_training_saves_a_checkpoint_that_needs_no_allow_list(trained):
    assert updates(trained) == 3


def test_training_is_quiet(data, tmp_path):
    log = train(data, tmp_path, "--max-update", 1).stderr
    assert "Warning" not in log
    assert "tensorboardX" not in log


def test_full_disk_stops_the_run_and_keeps_the_checkpoints(data, trained):
    before = {p.name: hashlib.sha256(p.read_bytes()).digest() for p in trained.iterdir()}
    result = train(
        data, trained, "--max-update", 5, "--store-ema", "--ema-fp32", prefix="ulimit -f 16; "
    )
    assert result.returncode != 0
    assert "File too large" in result.stderr.splitlines()[-1]
    assert {p.name: hashlib.sha256(p.read_bytes()).digest() for p in trained.iterdir()} == before


@pytest.mark.slow
def test_run_resumes_with_its_average(data, trained, tmp_path):
    for file in trained.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    result = train(data, tmp_path, "--max-update", 5, "--store-ema", "--ema-fp32")
    assert result.returncode == 0, result.stderr
    assert updates(tmp_path) == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["--bf16"],
        ["--distributed-world-size", 2],
        ["--distributed-world-size", 2, "--ddp-backend", "legacy_ddp"],
    ],
    ids=["bf16", "two-processes", "two-processes-legacy"],
)
def test_training_on_cpu_with(data, tmp_path, options):
    result = train(data, tmp_path, "--max-update", 2, *options)
    assert result.returncode == 0, result.stderr
    assert updates(tmp_path) == 2
    if "--distributed-world-size" in options:
        assert "bsz 14.5" in result.stderr + result.stdout  # 2 x 8 rows, less in the last batch


@pytest.mark.slow
def test_finetuning_and_validation(data, trained, tmp_path):
    checkpoint = trained / "checkpoint_last.pt"
    result = train(data, tmp_path, "--max-update", 1, "--finetune-from-model", checkpoint)
    assert result.returncode == 0, result.stderr
    task = ["--task", "language_modeling", "--path", checkpoint, "--cpu", "--batch-size", 4]
    result = command("fairseq-validate", data, *task)
    assert result.returncode == 0, result.stderr
    assert "loss" in result.stderr + result.stdout


@pytest.mark.slow
def test_hydra_training_with_an_awkward_name(data, tmp_path):
    (tmp_path / "toy.yaml").write_text(
        f"""# @package _group_
common: {{cpu: true}}
task: {{_name: language_modeling, data: {data}, tokens_per_sample: 16}}
criterion: {{_name: cross_entropy}}
optimizer: {{_name: adam}}
lr_scheduler: {{_name: inverse_sqrt, warmup_updates: 4}}
dataset: {{batch_size: 8, num_workers: 0}}
distributed_training: {{distributed_world_size: 1}}
optimization: {{max_update: 1, lr: [0.001]}}
checkpoint: {{save_dir: '{tmp_path}/\\${{it}}'}}
model: {{_name: transformer_lm, decoder_layers: 1, decoder_embed_dim: 16, decoder_output_dim: 16,
  decoder_input_dim: 16, decoder_ffn_embed_dim: 16, decoder_attention_heads: 2}}
"""
    )
    run = [f"hydra.run.dir={tmp_path}/run"]
    result = command("fairseq-hydra-train", "--config-dir", tmp_path, "--config-name", "toy", *run)
    assert result.returncode == 0, result.stderr
    assert updates(tmp_path / "${it}") == 1


def test_missing_user_dir_is_named(data, tmp_path):
    result = train(data, tmp_path, "--user-dir", "no_such_plugin")
    assert result.returncode != 0
    assert "no_such_plugin" in result.stderr.splitlines()[-1]
