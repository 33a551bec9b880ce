"""The TSV writer: checks, atomic appearance, resuming."""

import json
from pathlib import Path

import pytest

from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.data.tsv_writer import TsvWriter, clean_field, write_json

COLUMNS = ("id", "text")


def test_rows_are_read_back(tmp_path: Path) -> None:
    rows = [["1", 'a "quoted" µm'], ["2", ""], ["3", " spaces kept "]]
    with TsvWriter(tmp_path / "a.tsv", COLUMNS) as writer:
        for row in rows:
            writer.write(row)

    assert list(TsvReader(str(tmp_path / "a.tsv"))) == rows


@pytest.mark.parametrize(
    ("field", "described"),
    [("a\tb", "a tab"), ("a\nb", "a newline"), ("a\rb", "a carriage return"), ("a\0", "a NUL")],
)
def test_separator_in_a_field_is_refused(field: str, described: str, tmp_path: Path) -> None:
    with TsvWriter(tmp_path / "a.tsv", COLUMNS) as writer:
        writer.write(["1", "fine"])
        with pytest.raises(ValueError, match=rf"a\.tsv: row 2: column 'text' holds {described}"):
            writer.write(["2", field])

    assert list(TsvReader(str(tmp_path / "a.tsv"))) == [["1", "fine"]]


def test_wrong_number_of_columns_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"expected 2 columns \(id, text\), found 3"),
        TsvWriter(tmp_path / "a.tsv", COLUMNS) as writer,
    ):
        writer.write(["1", "2", "3"])


def test_unpaired_surrogate_is_refused(tmp_path: Path) -> None:
    with TsvWriter(tmp_path / "a.tsv", COLUMNS) as writer:
        with pytest.raises(ValueError, match="row 1: .*surrogates"):
            writer.write(["1", "\ud800"])
        writer.write(["1", "x"])


def test_file_appears_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("old\tfile\n")
    with pytest.raises(RuntimeError), TsvWriter(path, COLUMNS) as writer:
        writer.write(["1", "new"])
        raise RuntimeError
    assert path.read_text() == "old\tfile\n"

    with TsvWriter(path, COLUMNS) as writer:
        writer.write(["1", "new"])
    assert path.read_text() == "1\tnew\n"


def interrupted(path: Path, fingerprint: str) -> None:
    with pytest.raises(RuntimeError), TsvWriter(path, COLUMNS, fingerprint) as writer:
        writer.write(["1", "first"])
        writer.reject("item 2", "unreadable")
        raise RuntimeError


def test_interrupted_file_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    interrupted(path, "source A")

    with TsvWriter(path, COLUMNS, "source A") as writer:
        assert (writer.taken, writer.rows) == (2, 1)
        assert writer.reject_counts == {"unreadable": 1}
        assert writer.rejects == [("item 2", "unreadable")]
        writer.write(["3", "third"])

    assert path.read_text() == "1\tfirst\n3\tthird\n"
    assert [file.name for file in tmp_path.iterdir()] == ["a.tsv"]


def test_rows_after_the_last_checkpoint_are_written_once(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    interrupted(path, "source A")
    # A process that was killed leaves rows, the last one cut, that no checkpoint counts.
    with (tmp_path / "a.tsv.partial").open("ab") as stream:
        stream.write(b"3\tthird\n4\tfo")

    with TsvWriter(path, COLUMNS, "source A") as writer:
        for number in range(writer.taken + 1, 5):
            writer.write([str(number), "again"])

    assert path.read_text() == "1\tfirst\n3\tagain\n4\tagain\n"


@pytest.mark.parametrize("fingerprint", ["source B", ""])
def test_other_source_starts_afresh(fingerprint: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    interrupted(path, "source A")

    with TsvWriter(path, COLUMNS, fingerprint) as writer:
        assert writer.taken == 0
        writer.write(["9", "new"])

    assert path.read_text() == "9\tnew\n"


def test_lost_rows_start_afresh(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    interrupted(path, "source A")
    (tmp_path / "a.tsv.partial").write_bytes(b"1")

    with TsvWriter(path, COLUMNS, "source A") as writer:
        assert writer.taken == 0


def test_checkpoint_is_written_while_going(tmp_path: Path) -> None:
    with TsvWriter(tmp_path / "a.tsv", COLUMNS, "source", checkpoint_rows=2) as writer:
        for number in range(3):
            writer.write([str(number), "x"])
        state = json.loads((tmp_path / "a.tsv.partial.json").read_text())
        assert (state["taken"], state["bytes"]) == (2, len("0\tx\n1\tx\n"))


def test_clean_field_leaves_single_spaces() -> None:
    assert clean_field(" a\tb\r\n c ") == "a b c"


def test_write_json_keeps_the_order_of_keys(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 0, "ä": 1})

    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == '{\n "b": 0,\n "ä": 1\n}\n'
