"""Conversions: rejects, cards, resuming over several files."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_utils.writer import Conversion, RejectedItem, Target, run_program


def make_row(item: int) -> list[str]:
    if item % 3 == 2:
        raise RejectedItem(f"item {item}", "a multiple")
    return [str(item)]


def items_from(start: int) -> Iterator[int]:
    return iter(range(start, 7))


def start(folder: Path, source: Path, **options: object) -> Conversion:
    return Conversion(folder, "tool", options, [source])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.txt"
    path.write_text("x")
    return path


def test_rejects_are_counted_with_reasons(tmp_path: Path, source: Path) -> None:
    conversion = start(tmp_path / "out", source, seed=3)
    assert conversion.write(Target("a.tsv", ("n",), 7), items_from, make_row) == 5
    conversion.finish(extra="fact")

    assert (tmp_path / "out" / "a.tsv").read_text() == "0\n1\n3\n4\n6\n"
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["options"] == {"seed": 3} and card["extra"] == "fact"
    assert card["files"]["a.tsv"]["rejected"] == {"a multiple": 2}
    assert card["files"]["a.tsv"]["rejects"] == [["item 2", "a multiple"], ["item 5", "a multiple"]]


def test_interrupted_conversion_gives_the_same_file(tmp_path: Path, source: Path) -> None:
    def failing(item: int) -> list[str]:
        if item == 4:
            raise KeyboardInterrupt
        return make_row(item)

    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "out", source).write(Target("a.tsv", ("n",), 7), items_from, failing)
    assert not (tmp_path / "out" / "a.tsv").exists()
    started: list[int] = []

    def noted(first: int) -> Iterator[int]:
        started.append(first)
        return items_from(first)

    start(tmp_path / "out", source).write(Target("a.tsv", ("n",), 7), noted, make_row)

    assert started == [4]
    assert (tmp_path / "out" / "a.tsv").read_text() == "0\n1\n3\n4\n6\n"


def test_complete_file_is_not_written_again(tmp_path: Path, source: Path) -> None:
    def unwanted(first: int) -> Iterator[int]:
        raise AssertionError

    target = Target("a.tsv", ("n",), 7)
    start(tmp_path / "out", source).write(target, items_from, make_row)
    assert start(tmp_path / "out", source).write(target, unwanted, make_row) == 5


@pytest.mark.parametrize("change", ["options", "source", "file"])
def test_file_is_written_again_when_something_changed(
    change: str, tmp_path: Path, source: Path
) -> None:
    target = Target("a.tsv", ("n",), 7)
    start(tmp_path / "out", source).write(target, items_from, make_row)
    if change == "source":
        source.write_text("other")
    if change == "file":
        (tmp_path / "out" / "a.tsv").write_text("spoiled")
    options = {"seed": 1} if change == "options" else {}

    started: list[int] = []

    def noted(first: int) -> Iterator[int]:
        started.append(first)
        return items_from(first)

    start(tmp_path / "out", source, **options).write(target, noted, make_row)

    assert started == [0]


def test_program_reports_bad_input_with_status_two(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def run(args: argparse.Namespace) -> None:
        raise ValueError("expected this, found that")

    monkeypatch.setattr("sys.argv", ["tool"])

    assert run_program(run, argparse.ArgumentParser(prog="tool")) == 2
    assert "tool: error: expected this, found that" in caplog.text
