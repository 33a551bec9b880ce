"""Organs of VQA-RAD, in folds."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils.vqa_rad_organ import CONVERTER, assign_folds


@pytest.fixture
def source(tmp_path: Path, draw: Callable[..., Path]) -> Path:
    rows = []
    for number in range(12):
        name = f"{number}.jpg"
        draw(tmp_path / "images" / name, number)
        fields = {"image_name": name, "image_organ": ["HEAD", "CHEST ", "ABD"][number % 3]}
        rows += [{"qid": n, "question": "is it?", "answer": "yes"} | fields for n in range(2)]
    (tmp_path / "trainset.json").write_text(json.dumps(rows[:-4]))
    (tmp_path / "testset.json").write_text(json.dumps(rows[-4:]))
    return tmp_path


def test_each_picture_is_one_row_with_its_organ(source: Path, convert: Callable[..., Any]) -> None:
    made = convert(CONVERTER, source, "--folds", "4", "--valid-share", "0")

    assert made.counts() == {"train": 9, "test": 3}
    labels = Counter(row[0] for row in made.rows("test", "2"))
    assert labels == {"head": 1, "chest": 1, "abd": 1}
    assert made.json("answers") == {"abd": 0, "chest": 1, "head": 2}
    assert made.rows("train", "1,2")[0] in [["0", "abd"], ["1", "chest"], ["2", "head"]]


def test_every_picture_is_tested_in_one_fold() -> None:
    labels = {Path(f"{n}.jpg"): "head" if n < 7 else "abd" for n in range(17)}
    folds = assign_folds(labels, 5, seed=3)

    assert folds.keys() == labels.keys() and set(folds.values()) == set(range(5))
    heads = Counter(folds[image] for image, label in labels.items() if label == "head")
    assert max(heads.values()) - min(heads.values()) == 1
    assert folds == assign_folds(dict(reversed(labels.items())), 5, seed=3)
    assert folds != assign_folds(labels, 5, seed=4)


def test_unknown_fold_is_refused(source: Path, convert: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"--fold must lie in 0\.\.4, found 5"):
        convert(CONVERTER, source, "--fold", "5")


def test_two_organs_of_a_picture_are_refused(source: Path, convert: Callable[..., Any]) -> None:
    rows = json.loads((source / "testset.json").read_text())
    rows[0]["image_organ"] = "LEG"
    (source / "testset.json").write_text(json.dumps(rows))

    with pytest.raises(ValueError, match=r"expected one organ, found leg and "):
        convert(CONVERTER, source)


@pytest.mark.shared
def test_published_pictures(shared_dir: Path, convert: Callable[..., Any]) -> None:
    made = convert(CONVERTER, shared_dir / "data" / "vqa-rad", "--fold", "1")

    counts = made.counts()
    assert sum(counts.values()) == 272 and 53 <= counts["test"] <= 56
    assert made.json("card")["leaks"]["shared"] == 0
