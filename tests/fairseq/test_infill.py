"""`biomedgpt infill` with a network of random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from biomedgpt_fairseq.cli.main import main as biomedgpt  # noqa: E402
from biomedgpt_fairseq.models.fairseq_model import OfaModel  # noqa: E402
from biomedgpt_fairseq.text.tokenizer import load_tokenizer  # noqa: E402
from tests.unit.tasks.unify_phantoms import make_folder  # noqa: E402

MODEL = {"arch": "ofa_micro", "scale_attn": True, "scale_fc": True, "code_image_size": 32}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of pretraining and a checkpoint for pictures of 64 pixels with 16 codes."""
    root = make_folder(tmp_path_factory.mktemp("infill"))
    torch.manual_seed(1)
    model = OfaModel.from_options(MODEL, len(load_tokenizer(root / "bpe", 64, 1000).vocab))
    for value in model.parameters():
        value.data += 0.2 * torch.randn_like(value)
    task = {
        "_name": "unify_task",
        "bpe_dir": str(root / "bpe"),
        "code_dict_size": 64,
        "patch_image_size": 32,
        "code_image_size": 32,
        "image_data": str(root / "image.tsv"),
    }
    content = {"args": None, "cfg": {"task": task, "model": MODEL}, "model": model.state_dict()}
    torch.save(content, root / "model.pt")
    return root


def infill(folder: Path, *options: str | Path) -> int:
    fixed = ["--path", str(folder / "model.pt"), "--cpu"]
    return biomedgpt(["infill", *fixed, *map(str, options)])


def records(folder: Path, capsys: Any, *options: str | Path) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert infill(folder, *options) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def error(folder: Path, capsys: Any, *options: str | Path) -> str:
    capsys.readouterr()
    assert infill(folder, *options) == 2
    return str(capsys.readouterr().err)


SHORT = ("--eval-args", '{"beam": 3, "max_len_a": 0, "max_len_b": 6}')


def test_text_with_marks_is_filled(folder: Path, capsys: Any) -> None:
    asked = ["--text", "CT of <mask> <mask> abdomen", "--text", "<mask> mass"]
    first, second = records(folder, capsys, *asked, "--nbest", "3", *SHORT)
    assert (first["id"], first["masked"]) == ("0", "ct of <mask> <mask> abdomen")
    assert (second["id"], second["masked"]) == ("1", "<mask> mass")
    scores = [found["score"] for found in first["candidates"]]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    assert first["answer"] == first["candidates"][0]["answer"]
    assert not any("<" in found["answer"] for found in first["candidates"])
    assert "original" not in first


def test_texts_of_a_file_are_masked_alike_every_time(folder: Path, capsys: Any) -> None:
    options = ["--texts", folder / "text.tsv", "--mask-ratio", "0.3", *SHORT]
    found = records(folder, capsys, *options)
    rows = [line.split("\t") for line in (folder / "text.tsv").read_text("utf-8").splitlines()]
    assert [one["id"] for one in found] == [row_id for row_id, _ in rows]
    assert [one["original"] for one in found] == [text for _, text in rows]
    assert all("<mask>" in one["masked"] for one in found)
    again = records(folder, capsys, *options, "--batch-size", "2")
    assert [one["masked"] for one in again] == [one["masked"] for one in found]
    other = records(folder, capsys, *options, "--seed", "8")
    assert [one["masked"] for one in other] != [one["masked"] for one in found]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no gap", "nothing to fill: mark the gaps with <mask>, or give --mask-ratio"),
        (" ", "the text is empty"),
        ("<mask> " + "word " * 300, "the text has "),
    ],
)
def test_text_that_cannot_be_filled_is_named(
    folder: Path, tmp_path: Path, capsys: Any, text: str, reason: str
) -> None:
    path = tmp_path / "texts.tsv"
    path.write_text(f"a <mask>\n{text}\n", "utf-8")
    assert f"error: {path}:2: {reason}" in error(folder, capsys, "--texts", path)


def test_columns_of_texts_are_chosen(folder: Path, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "texts.tsv"
    path.write_text("1\ta\tb <mask>\n", "utf-8")
    assert "found 3 columns; choose with --selected-cols" in error(folder, capsys, "--texts", path)
    (found,) = records(folder, capsys, "--texts", path, "--selected-cols", "2", *SHORT)
    assert (found["id"], found["masked"]) == ("0", "b <mask>")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--mask-ratio", "0.3"], "a text with <mask> goes without --mask-ratio"),
        (["--mask-ratio", "2"], "--mask-ratio must lie in"),
        (["--nbest", "0"], "--nbest must be at least 1"),
        (["--nbest", "3", "--eval-args", '{"beam": 2}'], "--nbest 3 needs a beam of as many"),
        (["--task", "vqa_gen"], "--task must be unify_task"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    folder: Path, capsys: Any, options: list[str], reason: str
) -> None:
    assert reason in error(folder, capsys, "--text", "a <mask>", *options)
