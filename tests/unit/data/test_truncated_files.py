"""Files that end in the middle of a row, as interrupted copies do."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.tsv import TsvReader

CUT = "the last row has no line end; is the file cut off?"


def test_row_that_lost_columns_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole, cut = tmp_path / "a.tsv", tmp_path / "b.tsv"
    whole.write_bytes(b"1\tx\ty\n")
    cut.write_bytes(b"2\tx\ty\n3\tx")
    with caplog.at_level(logging.WARNING):
        reader = TsvReader([str(whole), str(cut)])
    assert [record.message for record in caplog.records] == [f"{cut}: {CUT}"]
    assert reader[1] == ["2", "x", "y"]
    with pytest.raises(BadRow, match=r"b\.tsv:2: expected 3 columns .* found 2; the file is cut"):
        reader[2]


def test_row_that_lost_the_end_of_a_text_is_read_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"1\twhole\n2\tha")
    for _ in range(2):  # with a new index and with the stored one
        caplog.clear()
        assert TsvReader(str(path))[1] == ["2", "ha"]
        assert caplog.messages[-1] == f"{path}: {CUT}"


def test_complete_file_gives_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"1\twhole\r\n2\twhole\r\n")
    assert TsvReader(str(path))[1] == ["2", "whole"]
    assert not caplog.records
    path.write_bytes(b"1\ta\n2\n3\tb\n")
    with pytest.raises(BadRow, match=r"a\.tsv:2: .*is there a tab or a line break inside a text"):
        TsvReader(str(path))[1]
