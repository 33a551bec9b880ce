"""VQA-RAD."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils.vqa_rad import CONVERTER


def question(number: int, image: str, answer: Any, **more: str) -> dict[str, Any]:
    fields = {"qid": number, "image_name": image, "image_organ": "HEAD ", "answer": answer}
    return fields | {"question": f"Is\tthis {number}?"} | more


@pytest.fixture
def source(tmp_path: Path, draw: Callable[..., Path]) -> Path:
    for number in range(4):
        draw(tmp_path / "images" / f"{number}.jpg", number)
    train = [question(n, f"{n % 3}.jpg", ["Yes", 3, "no "][n % 3]) for n in range(9)]
    test = [question(20, "3.jpg", "Left lung"), question(21, "0.jpg", "YES")]
    (tmp_path / "trainset.json").write_text(json.dumps(train))
    (tmp_path / "testset.json").write_text(json.dumps(test))
    return tmp_path


def test_texts_are_lower_cased_and_cleaned(source: Path, convert: Callable[..., Any]) -> None:
    made = convert(CONVERTER, source, "--on-leak", "keep", "--valid-share", "0")

    assert made.counts() == {"train": 9, "test": 2}
    cells = [row[:5] for row in made.rows("train")]
    assert cells[0] == ["0", "0.jpg", "is this 0?", "1|!+yes", "head"]
    assert cells[1][3] == "1|!+3" and cells[2][3] == "1|!+no"


def test_shared_pictures_stop_unless_kept_and_are_recorded(
    source: Path, convert: Callable[..., Any]
) -> None:
    with pytest.raises(ValueError, match="--on-leak keep"):
        convert(CONVERTER, source, "--valid-share", "0")

    made = convert(CONVERTER, source, "--on-leak", "keep", "--valid-share", "0")
    leaks = made.json("card")["leaks"]
    assert (leaks["policy"], leaks["shared"]) == ("keep", 1)


def test_validation_is_drawn_by_picture(source: Path, convert: Callable[..., Any]) -> None:
    made = convert(CONVERTER, source, "--on-leak", "keep", "--valid-share", "0.34")

    assert made.counts() == {"train": 6, "valid": 3, "test": 2}
    images = {split: {row[1] for row in made.rows(split)} for split in ("train", "valid")}
    assert not images["train"] & images["valid"]
    listed = made.json("splits")
    assert [row[0] for row in made.rows("valid")] == listed["valid"]


def test_answer_set_is_of_the_training_split(source: Path, convert: Callable[..., Any]) -> None:
    made = convert(CONVERTER, source, "--on-leak", "keep", "--valid-share", "0")

    assert made.json("answers") == {"yes": 0, "3": 1, "no": 2}
    assert made.json("card")["answers"] == {
        "count": 3,
        "from": ["train"],
        "uses_test_answers": False,
        "rows_outside": {"train": 0, "test": 1},
    }


def test_test_answers_need_the_flag_and_are_on_the_card(
    source: Path, convert: Callable[..., Any]
) -> None:
    words = ("--on-leak", "keep", "--valid-share", "0", "--answers-from", "train,test")
    made = convert(CONVERTER, source, *words)

    assert "left lung" in made.json("answers")
    assert made.json("card")["answers"]["uses_test_answers"] is True


def test_release_tells_the_split_by_the_phrase_type(
    source: Path, convert: Callable[..., Any]
) -> None:
    kinds = ["freeform", "para", "test_freeform", "test_para"]
    rows = [question(n, f"{n}.jpg", "yes", phrase_type=kind) for n, kind in enumerate(kinds)]
    (source / "VQA_RAD Dataset Public.json").write_text(json.dumps(rows))
    (source / "images").rename(source / "VQA_RAD Image Folder")

    made = convert(CONVERTER, source, "--valid-share", "0")

    assert made.counts() == {"train": 2, "test": 2}


def test_missing_field_is_named(source: Path, convert: Callable[..., Any]) -> None:
    (source / "testset.json").write_text('[{"qid": 1}]')

    with pytest.raises(ValueError, match="testset.json: item 1 lacks answer, image_name"):
        convert(CONVERTER, source)


def test_missing_picture_is_rejected(source: Path, convert: Callable[..., Any]) -> None:
    (source / "images" / "3.jpg").unlink()

    made = convert(CONVERTER, source, "--on-leak", "keep", "--valid-share", "0")

    assert made.json("card")["files"]["test.tsv"]["rejected"] == {"no such file": 1}


@pytest.mark.shared
def test_published_set(shared_dir: Path, convert: Callable[..., Any]) -> None:
    made = convert(CONVERTER, shared_dir / "data" / "vqa-rad", "--on-leak", "keep")

    card = made.json("card")
    assert card["rejected"] == {}
    counts = made.counts()
    assert counts["train"] + counts["valid"] == 2654 and counts["test"] == 395
    assert 0.08 < counts["valid"] / 2654 < 0.12
    pictures = {s: set(map(tuple, made.rows(s, "5"))) for s in ("train", "valid", "test")}
    assert not pictures["train"] & pictures["valid"]
    released = json.loads(
        (shared_dir / "data" / "label_maps" / "vqa-rad-trainval_ans2label.json").read_text()
    )
    answers = set(made.json("answers"))
    assert len(answers - {answer.strip() for answer in released}) <= 5
