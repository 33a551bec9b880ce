from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.tsv import TsvReader, parse_columns
from biomedgpt_fairseq.data.tsv_index import INDEX_SUFFIX


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def test_rows_are_read_in_any_order(tmp_path: Path) -> None:
    reader = TsvReader(write(tmp_path / "a.tsv", "1\tx\n2\ty\n3\tz\n"))
    assert len(reader) == 3
    assert [reader[i] for i in (2, 0, 2, 1)] == [["3", "z"], ["1", "x"], ["3", "z"], ["2", "y"]]


def test_missing_final_newline_is_no_matter(tmp_path: Path) -> None:
    assert list(TsvReader(write(tmp_path / "a.tsv", "1\tx\n2\ty"))) == [["1", "x"], ["2", "y"]]


def test_one_carriage_return_is_dropped_at_the_end_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "a\rb\r\tc\r\r\nd\te\u2028f\r\n")
    assert list(TsvReader(path)) == [["a\rb\r", "c\r"], ["d", "e\u2028f"]]
    assert list(TsvReader(path).column(0)) == ["a\rb\r", "d"]


def test_selected_columns_keep_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "a\tb\tc\nd\te\tf\n")
    assert list(TsvReader(path, "2,0")) == [["c", "a"], ["f", "d"]]
    assert list(TsvReader(path, "2,0").column(1)) == ["a", "d"]


def test_missing_column_names_file_row_and_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "a\tb\tc\nd\te\n")
    reader = TsvReader(path, "0,2")
    with pytest.raises(BadRow, match=r"a\.tsv:2: expected at least 3 columns .*found 2"):
        reader[1]
    with pytest.raises(BadRow, match=r"a\.tsv:2: expected at least 3 columns .*found 2"):
        list(reader.column(1))


def test_bad_bytes_are_a_row_error(tmp_path: Path) -> None:
    reader = TsvReader(write(tmp_path / "a.tsv", b"a\tb\nc\t\xff\n"))
    assert reader[0] == ["a", "b"]
    with pytest.raises(BadRow, match=r"a\.tsv:2: expected UTF-8 text"):
        reader[1]


@pytest.mark.parametrize("text", ["", "a", "0,-1", "0,,1", "1.5"])
def test_bad_column_list_raises(text: str) -> None:
    with pytest.raises(ValueError, match="--selected-cols must be"):
        parse_columns(text)


def test_files_are_concatenated_and_located(tmp_path: Path) -> None:
    first = write(tmp_path / "a.tsv", "1\n2\n")
    second = write(tmp_path / "b.tsv", "3")
    reader = TsvReader(f"{first},{second}")
    assert list(reader) == [["1"], ["2"], ["3"]]
    assert reader.locate(1) == (first, 2)
    assert reader.locate(2) == (second, 1)
    assert list(reader.column(0)) == ["1", "2", "3"]


@pytest.mark.parametrize("index", [3, -1])
def test_index_outside_raises(tmp_path: Path, index: int) -> None:
    reader = TsvReader(write(tmp_path / "a.tsv", "1\n2\n3\n"))
    with pytest.raises(IndexError):
        reader[index]


def test_empty_and_missing_files_raise(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.tsv: the file is empty"):
        TsvReader(write(tmp_path / "a.tsv", ""))
    with pytest.raises(FileNotFoundError, match="no.tsv"):
        TsvReader(str(tmp_path / "no.tsv"))
    with pytest.raises(ValueError, match="at least one"):
        TsvReader("")


def test_index_is_written_once_and_used(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "1\n2\n")
    TsvReader(path)
    index = Path(path + INDEX_SUFFIX)
    written = index.stat().st_mtime_ns
    assert list(TsvReader(path)) == [["1"], ["2"]]
    assert index.stat().st_mtime_ns == written
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tsv", "a.tsv" + INDEX_SUFFIX]


def test_changed_file_is_indexed_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "1\n2\n")
    TsvReader(path)
    write(Path(path), "123\n")
    os.utime(path, ns=(1, 1))
    assert list(TsvReader(path)) == [["123"]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[:-8],
        lambda b: b[:20],
        lambda b: b[:-1] + b"\x07",
        lambda b: b"X" + b[1:],
        lambda b: b"",
    ],
)
def test_damaged_index_is_replaced(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    path = write(tmp_path / "a.tsv", "1\n2\n")
    TsvReader(path)
    index = Path(path + INDEX_SUFFIX)
    good = index.read_bytes()
    index.write_bytes(damage(good))
    assert list(TsvReader(path)) == [["1"], ["2"]]
    assert index.read_bytes() == good


def test_index_stays_in_memory_when_it_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "a.tsv", "1\n2\n")
    (tmp_path / ("a.tsv" + INDEX_SUFFIX)).mkdir()
    with caplog.at_level(logging.INFO):
        reader = TsvReader(path)
    assert list(reader) == [["1"], ["2"]]
    assert len(caplog.records) == 1
    assert "stays in memory" in caplog.text
    assert list(pickle.loads(pickle.dumps(reader))) == [["1"], ["2"]]


def test_file_changed_after_opening_raises(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "1\n2\n")
    reader = TsvReader(path, "0")
    write(Path(path), "1\n2\n3\n")
    with pytest.raises(ValueError, match="changed since it was opened"):
        reader[0]


def test_file_changed_between_reads_raises(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "1\n2\n")
    reader = TsvReader(path)
    assert reader[0] == ["1"]
    write(Path(path), "12\n3\n")
    with pytest.raises(ValueError, match="changed since it was opened"):
        reader[0]


def test_long_rows_give_the_same_cells_by_column(tmp_path: Path) -> None:
    big = "x" * 20_000
    path = write(tmp_path / "a.tsv", f"1\ta\t{big}\n2\t{big}\tb\n{big}\té\tc\r\n")
    reader = TsvReader(path)
    for column in range(3):
        assert list(reader.column(column)) == [row[column] for row in reader]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_share_a_reader(tmp_path: Path, method: str) -> None:
    rows = [f"{i}\t{'y' * (i % 50)}" for i in range(200)]
    reader = TsvReader(write(tmp_path / "a.tsv", "\n".join(rows)))
    expected = [row.split("\t") for row in rows]
    assert reader[7] == expected[7]
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(reader.__getitem__, range(200), chunksize=7) == expected


def test_reading_does_not_depend_on_the_locale(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "é\tß\n")
    code = (
        "import sys; from biomedgpt_fairseq.data.tsv import TsvReader; "
        "sys.stdout.buffer.write(ascii(TsvReader(sys.argv[1])[0]).encode())"
    )
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}
    run = subprocess.run([sys.executable, "-c", code, path], env=env, capture_output=True)
    assert run.stdout.decode() == ascii(["é", "ß"]), run.stderr.decode()
