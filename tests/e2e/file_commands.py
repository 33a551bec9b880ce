"""Commands whose output are files, each run in the present folder.

    PYTHONHASHSEED=1 python tests/e2e/file_commands.py

A process of its own has other hashes of texts, so other orders of sets.
"""

from __future__ import annotations

import csv
import json
import os
import pickle
import runpy
import sys
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

import numpy as np
from e2e_commands import NETWORK, PLUGIN, TRAINING, train_here
from PIL import Image

from biomedgpt_fairseq.cli.main import main as biomedgpt

PHANTOMS = ("classify", "vqa", "caption", "summary", "nli", "pretrain", "detection", "grounding")
TRAIN = """
    fairseq-train phantoms/classify/train.tsv,phantoms/classify/valid.tsv --task image_classify
    --selected-cols 0,2 --ans2label-file phantoms/classify/answers.json --bpe-dir vocabulary
    --patch-image-size 32 --code-dict-size 64 --num-bins 0 --batch-size 4 --num-workers 0
    --max-update 2 --no-epoch-checkpoints --log-file train.log --save-dir run --deterministic
"""
# `> FILE` behind a command takes what it prints.
COMMANDS = """
    biomedgpt image-codes extract --input pictures --pretrain --size 32 --output codes.tsv
    biomedgpt image-codes preview --input pictures --size 32 --count 2 --output preview.png
    biomedgpt image-codes train --input pictures --size 64 --steps 1 --output t.safetensors
    biomedgpt vocab train --output vocabulary2 --size 500 --column 2,3 phantoms/vqa/train.tsv
    biomedgpt checkpoint convert run/checkpoint_last.pt plain --to safetensors --weights-only
    biomedgpt checkpoint convert run/checkpoint_last.pt hf --to huggingface --weights-only
    biomedgpt checkpoint convert hf back.pt
    biomedgpt checkpoint average plain hf --output mean.pt
    biomedgpt evaluate --path plain --results-path results --paraphrases
    --group-column 2 --min-group-rows 1 --log-file train.log --deterministic
    biomedgpt predict --path hf --input phantoms/classify/test.tsv --selected-cols 0,2
    --top-k 2 > predict.jsonl
    biomedgpt infill --path run/checkpoint_last.pt --text there\\ is\\ <mask>. > infill.jsonl
    biomedgpt submit --dry-run --folder /jobs --gpus 0 --vary SEED=1,2 -- echo {SEED} > submit.txt
    data_utils.image_folder pictures --output folder --on-leak keep
    data_utils.image_folder pictures --csv splits.csv --output table --on-leak keep
    data_utils.medmnist pneumoniamnist.npz --output pneumonia --on-leak keep
    data_utils.answer_map tsv phantoms/vqa/train.tsv --column 3 --output answers.json
    data_utils.answer_map pickle answers.pkl --output answers2.json
    data_utils.cider_frequencies words.p --output frequencies.json
    data_utils.splits phantoms/vqa/train.tsv phantoms/vqa/test.tsv --text-columns 2 --on-leak drop
    --output clean
    data_utils.pretraining.texts sentences sentences --output texts --shards 2 --shard 0
    data_utils.pretraining.texts sentences sentences --output texts --shards 2 --shard 1
    data_utils.pretraining.shards texts --verify --join
    data_utils.pretraining.dedupe texts/train.tsv --rows texts --output unique
    data_utils.pretraining.dedupe codes.tsv --rows pictures --output unique_pictures
    data_utils.pretraining.decontaminate texts/train.tsv --rows texts
    --against phantoms/nli/test.tsv --output distinct
    data_utils.pretraining.pictures folder pictures --output raw
"""


def make_sources() -> None:
    """Pictures, tables and texts to convert."""
    rng = np.random.default_rng(1)
    rows = []
    for label in ("glioma", "none"):
        Path("pictures", label).mkdir(parents=True)
        for number, split in enumerate(("train", "train", "val", "test") * 3):
            path = Path("pictures", label, f"{number}.png")
            Image.fromarray(rng.integers(0, 255, (64, 70, 3), np.uint8)).save(path)
            rows.append((str(path.relative_to("pictures")), label, split))
    with open("splits.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = rng.integers(0, 255, (4, 28, 28), np.uint8)
        arrays[f"{split}_labels"] = np.array([[0], [1], [0], [1]], np.uint8)
    np.savez("pneumoniamnist.npz", **arrays)
    Path("answers.pkl").write_bytes(pickle.dumps({"yes": 0, "no": 1}))
    frequencies = {"ref_len": 2.0, "document_frequency": {("a", "mass"): 1.0, ("a", "b"): 2.0}}
    Path("words.p").write_bytes(pickle.dumps(frequencies))
    Path("sentences").mkdir()
    for name in "ab":
        lines = [f"Sentence {name} {number} of some length.\n" for number in range(9)]
        Path("sentences", f"{name}.txt").write_text("".join([*lines, lines[0]]), "utf-8")
    # Converters know their sources by names, sizes and times.
    for path in Path().rglob("*"):
        os.utime(path, (1e9, 1e9))


def run(command: str) -> None:
    """Run a command here.  Raises RuntimeError if it fails."""
    command, _, output = command.partition(" > ")
    words = [word.replace("\0", " ") for word in command.replace("\\ ", "\0").split()]
    with open(output or "printed.txt", "a", encoding="utf-8") as out, redirect_stdout(out):
        if words[0] == "biomedgpt":
            with patch.object(sys, "argv", words):
                status = biomedgpt(words[1:])
        else:
            with patch.object(sys, "argv", words):
                try:
                    runpy.run_module(words[0], run_name="__main__")
                    status = 0
                except SystemExit as end:
                    status = int(end.code or 0)
    if status != 0:
        raise RuntimeError(f"{command}: status {status}")


def run_all() -> None:
    """Write everything."""
    make_sources()
    for task in PHANTOMS:
        rows = "--train 6 --valid 2 --test 2 --size 32 --num-codes 64"
        run(f"biomedgpt phantoms --task {task} --output phantoms/{task} {rows}")
    corpus = " ".join(f"phantoms/{task}/corpus.txt" for task in ("classify", "vqa"))
    run(f"biomedgpt vocab train --output vocabulary --size 500 {corpus}")
    words = [*TRAIN.split(), "--user-dir", str(PLUGIN), *NETWORK.split(), *TRAINING.split()]
    train_here(words)
    for command in COMMANDS.replace("\n    --", " --").split("\n"):
        if command.strip():
            run(command.strip())


def contents() -> dict[str, bytes]:
    """Files by name, without the times that some are there to hold.

    Times are in the record of an evaluation; in the training program's checkpoint and log, which
    are compared by what is made of them; and in the index of a row file, that of this file.
    """
    found = {}
    for path in sorted(Path().rglob("*")):
        timed = path.parts[0] in ("run", "train.log") or path.suffix == ".offsets"
        if path.is_file() and not timed:
            found[str(path)] = path.read_bytes()
    record = json.loads(found["results/record.json"])
    del record["started"], record["seconds"]
    found["results/record.json"] = json.dumps(record).encode()
    return found


if __name__ == "__main__":
    run_all()
