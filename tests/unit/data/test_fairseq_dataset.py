from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("fairseq")

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.examples import Example
from biomedgpt_fairseq.data.fairseq_dataset import RowDataset
from biomedgpt_fairseq.data.tsv import TsvReader


def build(row: list[str], rng: np.random.Generator, index: int) -> Example:
    """Rows are numbers; `bad` is a bad row, `long` one that was cut."""
    if row[0] == "bad":
        raise BadRow("it is bad")
    noise = torch.tensor([int(rng.integers(4, 1000))])
    tokens = torch.tensor([0, 2])
    return Example(row[0], noise, tokens, tokens, None, truncated=row[0] == "long")


def dataset(tmp_path: Path, rows: list[str], **options: Any) -> RowDataset:
    path = tmp_path / "rows.tsv"
    path.write_text("\n".join(rows) + "\n")
    return RowDataset(TsvReader(str(path)), build, pad=1, **options)


def test_items_do_not_depend_on_the_order_of_reading(tmp_path: Path) -> None:
    rows = dataset(tmp_path, [str(i) for i in range(9)])
    forward = [int(rows[i].source) for i in range(9)]
    backward = [int(rows[i].source) for i in reversed(range(9))]
    assert forward == backward[::-1]
    assert len(set(forward)) > 5


def test_epoch_is_part_of_the_key(tmp_path: Path) -> None:
    rows = dataset(tmp_path, ["0", "1"])
    by_key = [int(rows[epoch, 1].source) for epoch in (1, 2)]
    assert by_key[0] != by_key[1]
    rows.set_epoch(2)
    assert int(rows[1].source) == by_key[1]
    assert int(rows[np.int64(1)].source) == by_key[1]


def test_order_is_the_files_unless_shuffled(tmp_path: Path) -> None:
    names = [str(i) for i in range(50)]
    assert dataset(tmp_path, names).ordered_indices().tolist() == list(range(50))
    training = dataset(tmp_path, names, shuffle=True)
    first = training.ordered_indices().tolist()
    training.set_epoch(2)
    second = training.ordered_indices().tolist()
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


@pytest.mark.parametrize("index", [2, -1])
def test_index_outside_raises(tmp_path: Path, index: int) -> None:
    with pytest.raises(IndexError):
        dataset(tmp_path, ["0", "1"])[index]


def test_bad_row_raises_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(BadRow, match=r"rows\.tsv:2: it is bad"):
        dataset(tmp_path, ["0", "bad"])[1]


def test_bad_rows_are_replaced_counted_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = dataset(tmp_path, ["0", "bad", "bad", "3", "bad"], on_bad_row="skip")
    with caplog.at_level(logging.WARNING):
        ids = [rows[i].row_id for _ in range(2) for i in range(5)]
    assert ids == ["0", "3", "3", "3", "0"] * 2
    assert rows.bad_rows == 3
    assert [r.getMessage().split("rows.tsv")[1] for r in caplog.records] == [
        ":2: it is bad",
        ":3: it is bad",
        ":5: it is bad",
    ]


def test_replacement_has_the_randomness_of_its_own_row(tmp_path: Path) -> None:
    rows = dataset(tmp_path, ["bad", "1"], on_bad_row="skip")
    assert int(rows[0].source) == int(rows[1].source)


def test_only_bad_rows_raise(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none of the 2 rows can be used"):
        dataset(tmp_path, ["bad", "bad"], on_bad_row="skip")[0]


def test_other_errors_are_never_skipped(tmp_path: Path) -> None:
    rows = dataset(tmp_path, ["0"], on_bad_row="skip")
    rows.build_example = lambda row, rng, index: (_ for _ in ()).throw(KeyError("a defect"))
    with pytest.raises(KeyError):
        rows[0]


def test_cut_rows_are_counted_and_the_first_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = dataset(tmp_path, ["0", "long", "long"])
    with caplog.at_level(logging.WARNING):
        for i in (0, 1, 2, 1):
            rows[i]
    assert rows.truncated_rows == 2
    assert "rows.tsv:2: text cut" in caplog.text
    assert len(caplog.records) == 1


def test_cut_rows_are_not_counted_for_each_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = dataset(tmp_path, ["long"] * 50)
    counted = []
    monkeypatch.setattr(rows, "_count", lambda flag: counted.append(flag) or len(counted))
    for i in range(50):
        rows[i]
    assert len(counted) == 1


def test_collater_of_nothing_is_a_dummy(tmp_path: Path) -> None:
    rows = dataset(tmp_path, ["0", "1"])
    assert rows.collater([]) == {}
    assert rows.collater([rows[0], rows[1]])["id"].tolist() == ["0", "1"]


def test_unknown_policy_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--on-bad-row must be raise or skip"):
        dataset(tmp_path, ["0"], on_bad_row="ignore")
