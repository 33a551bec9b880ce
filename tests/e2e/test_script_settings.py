"""Help, defaults and settings of the scripts in run_scripts/."""

from __future__ import annotations

import re

import pytest
from script_commands import (
    PROGRAMS,
    RECIPES,
    ROOT,
    SCRIPTS,
    ZERO_SHOT,
    column_of,
    dry_run,
    name_of,
    read_table,
    run_script,
    start_script,
    training_command,
)

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


@pytest.mark.parametrize("path", PROGRAMS, ids=name_of)
def test_help_shows_usage_recipe_and_defaults(path) -> None:
    shown = run_script(path, "--help").stdout
    assert "Usage: " in shown and "LR=" in shown
    if path in RECIPES:
        column = column_of(path)
        published = name_of(path) in PUBLISHED and f"published recipe ({column})" in shown
        assert published or "nearest published set" in shown
        assert column in shown


def test_page_names_every_recipe_and_its_column() -> None:
    page = (ROOT / "docs" / "run_scripts.md").read_text("utf-8")
    named = dict(re.findall(r"^\| `(\S+)\.sh` \|.*\| (\S+) \|$", page, re.MULTILINE))
    assert named.pop(name_of(ZERO_SHOT)) == "`vqa_rad`"
    assert named.keys() == {name_of(path) for path in RECIPES}
    for path in RECIPES:
        column = f"`{column_of(path)}`"
        assert named[name_of(path)] == (column if name_of(path) in PUBLISHED else f"({column})")


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
