"""Side files: forms, ids, and everything that can be wrong with them."""

import re
from pathlib import Path

import pytest

from biomedgpt_fairseq.report.metadata import (
    Attribute,
    label_rows,
    make_attribute,
    read_metadata,
)

FORMS = {
    "m.csv": '\ufeffid,site,sex\n7,"A, north",f\n8,B,\n',
    "m.tsv": "id\tsite\tsex\r\n7\tA, north\tf\r\n8\tB\t\r\n",
    "m.jsonl": '{"id": 7, "site": "A, north", "sex": "f"}\n\n'
    '{"id": "8", "site": "B", "sex": null}\n',
}


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_table(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, FORMS[name])

    assert read_metadata(path, "id", ["sex", "site"]) == {"7": ("f", "A, north"), "8": ("", "B")}


def test_any_column_can_hold_the_ids(tmp_path: Path) -> None:
    path = write(tmp_path, "m.csv", "image,site\nx.png,A\n")

    assert read_metadata(path, "image", ["site"]) == {"x.png": ("A",)}


def test_numbers_and_truth_values_are_text(tmp_path: Path) -> None:
    path = write(tmp_path, "m.jsonl", '{"id": "a", "age": 70, "icu": true}\n')

    assert read_metadata(path, "id", ["age", "icu"]) == {"a": ("70", "true")}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "id,place\n1,A\n", "m.csv:2: no column 'site'; there are: id, place"),
        ("m.csv", "key,site\n1,A\n", "m.csv:2: no column 'id'"),
        ("m.csv", "id,site\n1\n", "m.csv:2: expected 2 cells as in the header, found 1"),
        ("m.csv", "id,id,site\n1,1,A\n", "m.csv: a column name comes twice"),
        ("m.csv", "id,site\n1,A\n1,B\n", "m.csv:3: id '1' has other values of site than in line 2"),
        ("m.csv", "id,site\n,A\n", "m.csv:2: the id 'id' is empty"),
        ("m.csv", "id,site\n", "m.csv: no rows"),
        ("m.csv", "", "m.csv: no rows"),
        ("m.csv", b"id,site\n1,\xff\n", "m.csv: expected UTF-8 text"),
        ("m.jsonl", '{"id": "1", "site": "A"}\n{"id": \n', "m.jsonl:2: not valid JSON"),
        ("m.jsonl", "[1]\n", r"m.jsonl:1: expected a JSON object, found \[1\]"),
        ("m.jsonl", '{"id": "1", "site": ["A"]}\n', "m.jsonl:1: expected a text or number"),
        ("m.xlsx", "x", "m.xlsx: expected a file whose name ends in .csv, .tsv, .jsonl"),
    ],
)
def test_bad_files_are_refused_with_their_place(
    name: str, text: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        read_metadata(write(tmp_path, name, text), "id", ["site"])


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"--metadata .*none\.csv: no such file"):
        read_metadata(tmp_path / "none.csv", "id", ["site"])


def test_id_may_come_again_with_equal_values(tmp_path: Path) -> None:
    path = write(tmp_path, "m.csv", "id,site,x\n1,A,1\n1,A,2\n")

    assert read_metadata(path, "id", ["site"]) == {"1": ("A",)}


TABLE = {"1": ("A", "f"), "2": ("B", ""), "3": ("A", "m")}


def test_rows_are_labelled_by_their_ids() -> None:
    found = label_rows(["3", "1", "3"], TABLE, ["site", "sex"], "m.csv", allow_unknown=False)

    assert found == [
        Attribute("site", ["A", "A", "A"], "m.csv"),
        Attribute("sex", ["m", "f", "m"], "m.csv"),
    ]


def test_missing_ids_are_an_error_unless_allowed() -> None:
    message = "m.csv: 2 of 3 rows ('x', 'y') are not there; the file has ids such as '1', '2', '3'"
    with pytest.raises(ValueError, match=re.escape(message) + ".*--allow-unknown-groups"):
        label_rows(["1", "x", "y"], TABLE, ["site", "sex"], "m.csv", allow_unknown=False)
    site, sex = label_rows(["1", "x", "2"], TABLE, ["site", "sex"], "m.csv", allow_unknown=True)
    assert site.labels == ["A", "unknown", "B"]
    assert sex.labels == ["f", "unknown", "unknown"]


def test_empty_values_are_an_error_unless_allowed() -> None:
    with pytest.raises(ValueError, match=r"1 of 2 rows \('2'\) is without a value of 'sex'"):
        label_rows(["1", "2"], TABLE, ["site", "sex"], "m.csv", allow_unknown=False)
    with pytest.raises(ValueError, match="a.tsv: 1 of 2 rows"):
        make_attribute("column 4", ["A", ""], ["0", "1"], "a.tsv", allow_unknown=False)
    found = make_attribute("column 4", ["A", ""], ["0", "1"], "a.tsv", allow_unknown=True)
    assert found.labels == ["A", "unknown"]
