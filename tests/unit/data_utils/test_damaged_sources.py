"""Files of a source that are damaged, or written on another system; what programs print."""

from __future__ import annotations

import codecs
import gzip
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from data_utils import iu_xray, mednli, meqsum, mimic_iii, mortality, path_vqa, pubmedqa, vqa_rad
from data_utils.converter import Converter


def carriage_returns(content: bytes) -> bytes:
    return content.replace(b"\n", b"\r\n")


def byte_order_mark(content: bytes) -> bytes:
    return codecs.BOM_UTF8 + content


def write_notes(folder: Path, train: bytes) -> Path:
    """Admissions with this training table, for `data_utils.mortality`."""
    for name in mortality.SPLITS:
        content = f"id,text,hospital_expire_flag\n7,{name} note,0\n".encode()
        (folder / f"MP_IN_adm_{name}.csv").write_bytes(train if name == "train" else content)
    return folder


@pytest.mark.parametrize(
    "change", [lambda b: b.replace(b"\n", b"\r\n"), lambda b: b"\xef\xbb\xbf" + b]
)
def test_line_ends_and_byte_order_marks_of_windows_change_nothing(
    change: Callable[[bytes], bytes], tmp_path: Path, convert: Any
) -> None:
    row = {"pairID": "1", "sentence1": "A", "sentence2": "B", "gold_label": "neutral"}
    made = []
    for number, edit in enumerate((bytes, change)):
        notes = tmp_path / f"notes{number}"
        pairs = tmp_path / f"pairs{number}"
        tables = tmp_path / f"tables{number}"
        for folder in (notes, pairs, tables):
            folder.mkdir()
        write_notes(notes, edit(b'id,text,hospital_expire_flag\n1,"two\nlines",1\n'))
        for name in mednli.SPLITS:
            line = json.dumps(row | {"sentence1": name}).encode() + b"\n"
            (pairs / f"mli_{name}_v1.jsonl").write_bytes(edit(line + line.replace(b"B", b"C")))
        for name in meqsum.FILES:
            (tables / f"{name}.tsv").write_bytes(edit(f"{name} a\tb\n{name} c\td\n".encode()))
        sources = ((mortality, notes), (mednli, pairs), (meqsum, tables))
        made.append(
            [convert(program.CONVERTER, source).rows("train") for program, source in sources]
        )

    assert made[0] == made[1]
    assert made[0][0] == [["two lines", "", "died"]]


HEADER = b"id,text,hospital_expire_flag\n"
DAMAGED: list[tuple[str, Converter, str, bytes, str]] = [
    (
        "not UTF-8",
        mortality.CONVERTER,
        "MP_IN_adm_train.csv",
        HEADER + b"1,a,0\n2,caf\xe9,0\n",
        r"train\.csv:3: expected UTF-8 text, found the byte 0xe9; save",
    ),
    (
        "a comma without quotes",
        mortality.CONVERTER,
        "MP_IN_adm_train.csv",
        HEADER + b"1,a, b,0\n",
        r"train\.csv:2: expected 3 cells as in the header, found 4; texts that hold a comma",
    ),
    (
        "a cut row",
        mortality.CONVERTER,
        "MP_IN_adm_train.csv",
        HEADER + b"1,a\n",
        r"train\.csv:2: expected 3 cells as in the header, found 2",
    ),
    (
        "cut JSON",
        vqa_rad.CONVERTER,
        "trainset.json",
        b'[{"qid": 1',
        r"trainset\.json: not valid JSON: ",
    ),
    (
        "JSON in Latin-1",
        vqa_rad.CONVERTER,
        "trainset.json",
        b'[\n{"qid": "\xe9"}]',
        r"trainset\.json:2: expected UTF-8",
    ),
    (
        "no list",
        vqa_rad.CONVERTER,
        "trainset.json",
        b'{"qid": 1}',
        r"trainset\.json: expected a list, found dict",
    ),
    (
        "a missing key",
        vqa_rad.CONVERTER,
        "trainset.json",
        b'[{"qid": 1}]',
        r"trainset\.json: item 1 lacks answer, image_name",
    ),
    (
        "a number for a file name",
        vqa_rad.CONVERTER,
        "trainset.json",
        b'[{"qid": 1, "image_name": 3, "image_organ": "", "question": "", "answer": ""}]',
        r"trainset\.json: item 1: image_name must be text, found 3",
    ),
    (
        "a cut line",
        mednli.CONVERTER,
        "mli_train_v1.jsonl",
        b'\n{"pairID": \n',
        r"mli_train_v1\.jsonl:2: not valid JSON",
    ),
    (
        "text for a list",
        iu_xray.CONVERTER,
        "annotation.json",
        b'{"train": [{"id": "1", "report": "a", "image_path": "0.png"}]}',
        r"annotation\.json: item 1: image_path must be a list of texts, found '0.png'",
    ),
    (
        "a list for an object",
        iu_xray.CONVERTER,
        "annotation.json",
        b"[]",
        r"annotation\.json: expected an object of splits",
    ),
    (
        "numbers in a list",
        pubmedqa.CONVERTER,
        "ori_pqal.json",
        b'{"1": {"QUESTION": "q", "CONTEXTS": [1], "final_decision": "yes"}}',
        r"ori_pqal\.json: item 1: CONTEXTS must be a list of texts, found \[1\]",
    ),
    (
        "no answers",
        path_vqa.CONVERTER,
        "train_vqa.json",
        b'[{"img_id": 1, "sent": "", "label": 3}]',
        r"train_vqa\.json: item 1: label must be an object, found 3",
    ),
    (
        "one column",
        meqsum.CONVERTER,
        "train.tsv",
        b"a\tb\nc\n",
        r"train\.tsv:2: expected two columns, found one",
    ),
]


@pytest.mark.parametrize(
    ("converter", "name", "content", "message"),
    [row[1:] for row in DAMAGED],
    ids=[row[0] for row in DAMAGED],
)
def test_damaged_file_is_an_error_that_names_the_place(
    converter: Converter, name: str, content: bytes, message: str, tmp_path: Path, convert: Any
) -> None:
    (tmp_path / "test_ground_truth.json").write_text("[]")
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ValueError, match=message):
        convert(converter, tmp_path)


def test_cut_gzip_file_is_an_error(tmp_path: Path, convert: Any) -> None:
    path = tmp_path / "NOTEEVENTS.csv.gz"
    path.write_bytes(gzip.compress(",".join(mimic_iii.COLUMNS).encode() * 999)[:-9])

    with pytest.raises(ValueError, match="NOTEEVENTS.csv.gz: damaged gzip file"):
        convert(mimic_iii.CONVERTER, path)


def test_file_that_is_no_workbook_is_an_error(tmp_path: Path, convert: Any) -> None:
    (tmp_path / "MeQSum.xlsx").write_bytes(b"File,CHQ,Summary\n")

    with pytest.raises(ValueError, match="MeQSum.xlsx: expected a workbook"):
        convert(meqsum.CONVERTER, tmp_path / "MeQSum.xlsx")


def test_program_says_in_one_line_what_is_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_notes(tmp_path, HEADER + b"1,a\n")
    words = ["mortality", str(tmp_path), "--output", str(tmp_path / "out")]

    with patch("sys.argv", words):
        assert mortality.CONVERTER.main() == 2

    assert "data_utils.mortality: error: " in caplog.text and "train.csv:2:" in caplog.text
    assert "Traceback" not in caplog.text


def test_program_prints_counts_rejects_and_leaks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_notes(tmp_path, HEADER + b"1,a,0\n2,val note,1\n3,,1\n")
    words = ["mortality", str(tmp_path), "--output", str(tmp_path / "out"), "--on-leak", "drop"]

    with patch("sys.argv", words), caplog.at_level(logging.INFO):
        assert mortality.CONVERTER.main() == 0

    assert "5 items; rejected: {'empty text1': 1}" in caplog.text
    assert "leak check: {'policy': 'drop', 'shared': 1" in caplog.text
    assert "train.tsv: 1 rows of 2 items" in caplog.text
