"""`biomedgpt infill` with a network of random weights."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

pytest.importorskip("fairseq")

from infill_look_alikes import make_infill_folder, save_tokenizer  # noqa: E402

from biomedgpt_fairseq.cli.main import main as biomedgpt  # noqa: E402
from biomedgpt_fairseq.image_tokenizer.pictures import (  # noqa: E402
    picture_to_pixels,
    pixels_to_picture,
)
from biomedgpt_fairseq.image_tokenizer.tokenizer import load_image_tokenizer  # noqa: E402
from tests.unit.tasks.unify_phantoms import SIDE, png  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_infill_folder(tmp_path_factory.mktemp("infill"))


def infill(folder: Path, *options: str | Path) -> int:
    fixed = ["--path", str(folder / "pretrained.pt"), "--cpu"]
    return biomedgpt(["infill", *fixed, *map(str, options)])


def records(folder: Path, capsys: Any, *options: str | Path) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert infill(folder, *options) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def error(folder: Path, capsys: Any, *options: str | Path) -> str:
    capsys.readouterr()
    assert infill(folder, *options) == 2
    return str(capsys.readouterr().err)


SHORT = ("--rewrite", "--eval-args", '{"beam": 3, "max_len_a": 0, "max_len_b": 6}')


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


def test_given_words_are_kept(folder: Path, capsys: Any) -> None:
    asked = ["--text", "CT of <mask> abdomen. no <mask>", "--text", "<mask> mass <mask> is seen."]
    found = records(folder, capsys, *asked, "--nbest", "4", "--eval-args", '{"beam": 4}')
    for one, pattern in zip(
        found, (r"ct of.* abdomen\. no.*", r"(.* )?mass.* is seen\."), strict=True
    ):
        answers = [candidate["answer"] for candidate in one["candidates"]]
        assert len(set(answers)) > 1
        # The space before the first word is not part of an answer.
        assert all(re.fullmatch(pattern, answer, re.DOTALL) for answer in answers)
    lengths = error(folder, capsys, "--text", "<mask>", "--eval-args", '{"max_len_b": 3}')
    assert "--eval-args must leave max_len_b to the size of the gap" in lengths


def test_deleted_words_leave_no_gap_to_fill(folder: Path, capsys: Any) -> None:
    deleting = '{"replace_length": 0, "mask_length": "word"}'
    options = ["--text", "one two three", "--mask-ratio", "0.3", "--model-overrides", deleting]
    assert "the model finds it with --rewrite" in error(folder, capsys, *options)
    (found,) = records(folder, capsys, *options, *SHORT)
    assert len(found["masked"].split()) == 2 and found["original"] == "one two three"


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


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.safetensors")


GREEDY = ("--eval-args", '{"beam": 1}')


def test_picture_gets_the_codes_of_its_middle(folder: Path, tmp_path: Path, capsys: Any) -> None:
    Image.new("RGB", (30, 90), "white").save(tmp_path / "b.png")
    Image.new("L", (64, 64), 9).save(tmp_path / "a.jpg")
    (tmp_path / "notes.txt").write_text("no picture")
    found = records(folder, capsys, "--image", tmp_path, "--nbest", "2")
    assert [one["id"] for one in found] == ["a.jpg", "b.png"]
    for one in found:
        assert len(one["candidates"]) == 2 and one["codes"] == one["candidates"][0]["codes"]
        assert one["candidates"][0]["score"] >= one["candidates"][1]["score"]
        codes = [int(code) for code in one["codes"].split()]
        assert len(codes) == 16 and min(codes) >= 0 and max(codes) < 64
        assert "code_accuracy" not in one
    (single,) = records(folder, capsys, "--image", tmp_path / "b.png")
    assert single["id"] == "b.png"
    assert single["codes"] == found[1]["codes"]


def test_sampled_codes_vary_with_the_seed_alone(folder: Path, capsys: Any) -> None:
    sampling = '{"sampling": true, "sampling_topk": 32, "beam": 1, "temperature": 2.0}'
    options = ["--image", folder / "image.tsv", "--eval-args", sampling]
    first, again = (records(folder, capsys, *options) for _ in range(2))
    assert [one["codes"] for one in first] == [one["codes"] for one in again]
    other = records(folder, capsys, *options, "--seed", "8")
    assert [one["codes"] for one in first] != [one["codes"] for one in other]


def test_known_codes_are_compared_beside_frequent_ones(
    folder: Path, tmp_path: Path, capsys: Any
) -> None:
    rows = tmp_path / "rows.tsv"
    (found, *_) = records(folder, capsys, "--image", folder / "image.tsv", *GREEDY)
    # A row whose true codes are those of the model, and one of which half are those of training.
    cells = [found["codes"], " ".join(map(str, [*range(8), *[60] * 8]))]
    picture = png(SIDE, 0)
    rows.write_text("".join(f"r{i}\t{picture}\t{cell}\n" for i, cell in enumerate(cells)), "utf-8")
    results = tmp_path / "results"
    first, second = records(folder, capsys, "--image", rows, "--results-path", results, *GREEDY)
    assert first["code_accuracy"] == 1.0 and second["code_accuracy"] < 0.5
    summary = json.loads((results / "summary.json").read_text("utf-8"))
    values = [measure["value"] for measure in summary["metrics"].values()]
    assert values[0] == pytest.approx((1 + second["code_accuracy"]) / 2)
    constant = sum(int(code) == i for i, code in enumerate(cells[0].split())) / 16
    assert values[1] == pytest.approx((constant + 0.5) / 2)
    assert summary["notes"] == ["without --image-tokenizer there are only codes, no pixels"]
    page = (results / "report.html").read_text("utf-8")
    assert page.count("<figcaption>masked</figcaption>") == 2
    assert "<figcaption>filled</figcaption>" not in page


def test_tokenizer_makes_pixels_and_true_codes(
    folder: Path, tokenizer: Path, tmp_path: Path, capsys: Any
) -> None:
    Image.new("RGB", (64, 64), (200, 10, 10)).save(tmp_path / "<red>.png")
    options = ["--image-tokenizer", tokenizer, "--results-path", tmp_path / "out", *GREEDY]
    (found,) = records(folder, capsys, "--image", tmp_path / "<red>.png", *options)
    middle = picture_to_pixels(Image.new("RGB", (32, 32), (200, 10, 10)))
    truth = load_image_tokenizer(tokenizer).encode(middle[None]).flatten().tolist()
    codes = [int(code) for code in found["codes"].split()]
    assert found["code_accuracy"] == sum(a == b for a, b in zip(codes, truth, strict=True)) / 16
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "&lt;red&gt;.png" in page and "<red>" not in page
    views = re.findall(r'src="data:image/png;base64,([^"]+)" alt="([^"]+)"', page)
    pictures = {name: Image.open(io.BytesIO(base64.b64decode(data))) for data, name in views}
    assert list(pictures) == ["original", "masked", "filled", "from the true codes"]
    assert pictures["masked"].getpixel((32, 32)) == (128, 128, 128)
    decoded = load_image_tokenizer(tokenizer).decode(torch.tensor(codes).view(1, 4, 4))[0]
    assert (
        pictures["filled"].crop((16, 16, 48, 48)).tobytes() == pixels_to_picture(decoded).tobytes()
    )
    assert {pictures[name].getpixel((15, 40)) for name in pictures} == {(200, 10, 10)}


def test_tokenizer_of_fewer_codes_limits_the_search(
    folder: Path, tmp_path: Path, capsys: Any
) -> None:
    small = save_tokenizer(tmp_path / "small.safetensors", num_codes=5)
    options = ["--image-tokenizer", small, "--selected-cols", "0,1", *GREEDY]
    found = records(folder, capsys, "--image", folder / "image.tsv", *options)
    assert max(int(code) for one in found for code in one["codes"].split()) < 5
    shown = error(folder, capsys, "--image", folder / "image.tsv", *options[:2])
    assert "image.tsv:1: expected codes from 0 to 4, found '5'" in shown


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ((png(SIDE, 0), "1 " * 15), "expected 16 codes, a grid of 4 x 4, found 15"),
        ((png(SIDE, 0), "64 " * 16), "expected codes from 0 to 63, found '64'"),
        ((png(40, 0), "1 " * 16), "expected a picture of 64 x 64 pixels"),
        (("AAAA",), "not a readable picture"),
        ((png(SIDE, 0), "1", "2"), "expected 2 or 3 columns (id, image, codes), found 4"),
    ],
)
def test_row_of_pictures_that_cannot_be_used_is_named(
    folder: Path, tmp_path: Path, capsys: Any, cells: tuple[str, ...], reason: str
) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("\t".join(("i", *cells)) + "\n", "utf-8")
    assert f"error: {path}:1: {reason}" in error(folder, capsys, "--image", path).replace(
        "base64 image: ", ""
    )


def test_checkpoint_without_codes_is_told(folder: Path, tmp_path: Path, capsys: Any) -> None:
    state = torch.load(folder / "pretrained.pt", weights_only=True)
    state["cfg"]["task"] |= {"code_dict_size": 0, "num_bins": 1000 + 64}
    torch.save(state, tmp_path / "other.pt")
    options = ["--image", folder / "image.tsv", "--selected-cols", "0,1"]
    shown = error(folder, capsys, *options, "--path", tmp_path / "other.pt")
    assert "the checkpoint has no image codes" in shown


def test_options_about_pictures_that_do_not_fit_are_refused(
    folder: Path, tmp_path: Path, capsys: Any
) -> None:
    image = ("--image", folder / "image.tsv")
    other = save_tokenizer(tmp_path / "other.safetensors", num_codes=65)
    shown = error(folder, capsys, *image, "--image-tokenizer", other)
    assert "has 65 codes for 8 pixels each; the checkpoint was trained with 64 codes" in shown
    assert "--mask-ratio is for texts" in error(folder, capsys, *image, "--mask-ratio", "0.1")
    text = error(folder, capsys, "--text", "<mask>", "--results-path", tmp_path)
    assert "--results-path go with --image" in text
    (tmp_path / "empty").mkdir()
    assert "expected pictures (.bmp" in error(folder, capsys, "--image", tmp_path / "empty")
    assert "lost: no such file or folder" in error(folder, capsys, "--image", tmp_path / "lost")
    shown = error(folder, capsys, *image, "--eval-args", '{"min_len": 3}')
    assert "--eval-args must leave min_len to the size of the gap" in shown
