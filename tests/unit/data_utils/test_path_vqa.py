"""PathVQA in its three forms."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils.path_vqa import CONVERTER, SPLITS


@pytest.fixture
def source(tmp_path: Path, draw: Callable[..., Path]) -> Path:
    for number, split in enumerate(SPLITS):
        draw(tmp_path / "images" / split / f"{split}_0001.jpg", number)
    return tmp_path


def new_rows(split: str) -> list[dict[str, Any]]:
    return [{"image": f"{split}_0001", "question": "Is it\na cell?", "answer": " Yes"}]


def check(made: Any) -> None:
    assert made.counts() == {"train": 1, "valid": 1, "test": 1}
    assert made.rows("valid", "2,3,4") == [["Is it a cell?", "1|!+Yes", ""]]
    assert made.json("answers") == {"Yes": 0}


def test_pickles_of_the_release(source: Path, convert: Callable[..., Any]) -> None:
    for split in SPLITS:
        path = source / "qas" / split / f"{split}_qa.pkl"
        path.parent.mkdir(parents=True)
        path.write_bytes(pickle.dumps(new_rows(split)))

    check(convert(CONVERTER, source))


def test_pickles_with_scored_answers(source: Path, convert: Callable[..., Any]) -> None:
    (source / "qas").mkdir()
    for number, split in enumerate(SPLITS):
        row = {"img_id": f"{split}_0001", "question_id": number, "sent": "Is it a cell?"}
        empty = row | {"question_id": 9, "label": {}}
        rows = [row | {"label": {"Yes": 1, "no": 0.3}}, empty]
        (source / "qas" / f"{split}_vqa.pkl").write_bytes(pickle.dumps(rows))

    made = convert(CONVERTER, source)

    check(made)
    assert [row[0] for row in made.rows("test")] == ["2"]
    assert made.json("card")["rejected"] == {"empty answers": 3}


def test_lists_as_json(source: Path, convert: Callable[..., Any]) -> None:
    for split in SPLITS:
        (source / f"{split}_qa.json").write_text(json.dumps(new_rows(split)))

    check(convert(CONVERTER, source))


def test_pickle_that_names_a_class_is_refused(source: Path, convert: Callable[..., Any]) -> None:
    (source / "train_qa.pkl").write_bytes(pickle.dumps([Path("/")]))

    with pytest.raises(ValueError, match="train_qa.pkl: expected a pickle of plain values: it"):
        convert(CONVERTER, source)


def test_parquet_files_are_unpacked(source: Path, convert: Callable[..., Any]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (source / "data").mkdir()
    for split, name in zip(SPLITS, ("train", "validation", "test"), strict=True):
        raw = (source / "images" / split / f"{split}_0001.jpg").read_bytes()
        row = new_rows(split)[0] | {"image": {"bytes": raw, "path": None}}
        table = pyarrow.Table.from_pylist([row])
        parquet.write_table(table, source / "data" / f"{name}-00000-of-00001.parquet")

    made = convert(CONVERTER, source)

    check(made)
    assert len(list((made.folder / "pictures").glob("*.jpg"))) == 3
