"""One command runs every benchmark; each compares the outputs of both sides, or fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHES, main

ROWS = {"training": 7, "decoding": 4, "candidates": 1, "startup": 2, "loading": 2, "mixed": 1}


def test_every_benchmark_gives_positive_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", str(tmp_path / "ratios.json"), "--svg", str(tmp_path / "ratios.svg")]
    assert main(["--quick", *files]) == 0
    figures = json.loads((tmp_path / "ratios.json").read_text("utf-8"))
    assert len(figures) == sum(ROWS[name] for name in BENCHES)
    assert all(len(side) == 1 and side[0] > 0 for pair in figures.values() for side in pair)
    printed, drawn = capsys.readouterr().out, (tmp_path / "ratios.svg").read_text("utf-8")
    for name in figures:
        assert name in printed
        assert name in drawn


def test_one_is_chosen_and_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--only", "candidates", "--repeats", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + ROWS["candidates"]
