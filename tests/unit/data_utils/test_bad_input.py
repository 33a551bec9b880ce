"""What converters do with values, pictures and ids that are not what they should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils import vqa_rad
from data_utils.corpus import Corpus, CorpusOptions, convert_corpus
from data_utils.layouts import CAPTION, TEXT_CLASSIFY, Layout, Record, caption, classified_text

# Value of a JSON answer -> the cell, or the reason why the row is left out.
ANSWERS: list[tuple[str, Any, str]] = [
    ("integer", 3, "1|!+3"),
    ("fraction", 0.5, "1|!+0.5"),
    ("tab and line break", "left\tupper\r\nlobe ", "1|!+left upper lobe"),
    ("true", True, "answers: true or false, not text"),
    ("null", None, "empty answers"),
    ("white space", " \t\r\n", "empty answers"),
    ("list", ["yes"], "answers: a list or an object, not text"),
    ("not a number", float("nan"), "answers: a number that is not finite"),
    ("NUL", "y\0es", "answers: a NUL character"),
    ("half a pair", "\ud83d", "answers: half of a surrogate pair"),
    ("separator", "yes&&no", "the answer holds &&"),
]
CAPTIONS = [
    ("", "empty caption"),
    (" \u00a0 ", "empty caption"),
    ("...", "caption: no words"),
    ("a && b", "the caption holds &&"),
    ("a\0", "caption: a NUL character"),
]


def write_vqa_rad(folder: Path, draw: Callable[..., Path], rows: list[dict[str, Any]]) -> Path:
    """Training questions with these fields; the test split has one question."""
    fields = {"image_name": "0.jpg", "image_organ": "HEAD", "question": "What?", "answer": "yes"}
    for number in (0, 1):
        draw(folder / "images" / f"{number}.jpg", number)
    train = [{**fields, "qid": number, **row} for number, row in enumerate(rows)]
    (folder / "trainset.json").write_text(json.dumps(train))
    test = [{**fields, "qid": 0, "image_name": "1.jpg"}]
    (folder / "testset.json").write_text(json.dumps(test))
    return folder


def convert_records(
    records: list[Record], layout: Layout, output: Path, **options: Any
) -> dict[str, Any]:
    """Convert; the card."""
    corpus = Corpus("test", layout, records)
    convert_corpus(corpus, output, CorpusOptions(valid_share=0, **options))
    card: dict[str, Any] = json.loads((output / "card.json").read_text())
    return card


@pytest.mark.parametrize(("value", "expected"), [row[1:] for row in ANSWERS], ids=lambda v: repr(v))
def test_answer_becomes_text_or_is_rejected(
    value: Any, expected: str, tmp_path: Path, draw: Callable[..., Path], convert: Any
) -> None:
    source = write_vqa_rad(tmp_path, draw, [{}, {"answer": value}])

    made = convert(vqa_rad.CONVERTER, source, "--valid-share", "0")

    cells = [row[3] for row in made.rows("train")]
    card = made.json("card")
    if expected.startswith("1|!+"):
        assert cells == ["1|!+yes", expected] and card["rejected"] == {}
    else:
        assert cells == ["1|!+yes"]
        assert card["rejected"] == {expected: 1} and card["rejects"] == [["1", expected]]


@pytest.mark.parametrize(("text", "reason"), CAPTIONS)
def test_caption_without_words_is_rejected(
    text: str, reason: str, tmp_path: Path, draw: Callable[..., Path]
) -> None:
    images = [draw(tmp_path / f"{number}.png", number) for number in range(2)]
    records = [caption("x", images[0], "A heart.", "train"), caption("x", images[1], text, "train")]

    card = convert_records(records, CAPTION, tmp_path / "out")

    assert card["rejected"] == {reason: 1} and card["rejects"] == [["x_1", reason]]
    assert card["files"]["train.tsv"]["rows"] == 1


def test_second_item_with_an_id_is_rejected_within_a_split_only(
    tmp_path: Path, draw: Callable[..., Path], convert: Any
) -> None:
    source = write_vqa_rad(tmp_path, draw, [{}, {"qid": 0, "answer": "no"}, {"qid": 5}])

    made = convert(vqa_rad.CONVERTER, source, "--valid-share", "0")

    assert [row[0] for row in made.rows("train")] == ["0", "5"]
    assert [row[0] for row in made.rows("test")] == ["0"]
    assert made.json("card")["rejected"] == {"an earlier item has this id": 1}


@pytest.mark.parametrize("content", [None, b"no picture", b""])
def test_unreadable_picture_is_rejected_by_its_path(
    content: bytes | None, tmp_path: Path, draw: Callable[..., Path], convert: Any
) -> None:
    source = write_vqa_rad(tmp_path, draw, [{}, {"image_name": "9.jpg"}])
    if content is not None:
        (source / "images" / "9.jpg").write_bytes(content)
    reason = "no such file" if content is None else "not a readable picture"

    made = convert(vqa_rad.CONVERTER, source, "--valid-share", "0")

    found = made.json("card")["files"]["train.tsv"]
    assert found["rejected"] == {reason: 1}
    assert found["rejects"] == [[str(source / "images" / "9.jpg"), reason]]
    assert made.counts()["train"] == 1


def test_answers_outside_of_the_set_are_counted(tmp_path: Path) -> None:
    records = [
        classified_text(f"{split}{label}", (f"{split} {label}", ""), label, split)
        for split, label in (("train", "yes"), ("test", "yes"), ("test", "perhaps"))
    ]

    card = convert_records(records, TEXT_CLASSIFY, tmp_path)

    assert card["answers"]["rows_outside"] == {"train": 0, "test": 1}
