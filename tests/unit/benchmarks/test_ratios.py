from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.ratios import Ratio, draw, matmul_rate, show, side_by_side

RATIO = Ratio("one; other", [1.0, 2.0, 4.0], [2.0, 8.0, 12.0], goal=1.5)


def test_ratios_are_taken_repetition_by_repetition() -> None:
    assert RATIO.ratios == [2.0, 4.0, 3.0]
    assert RATIO.median == 3.0
    cells = RATIO.row().split("  ")
    assert "3.00 [2.00, 4.00]" in cells
    assert cells[-1].strip() == "1.50"
    assert Ratio("one", [1.0], [1.0]).row().endswith("1.00 [1.00, 1.00]")


def test_sides_take_turns() -> None:
    calls: list[str] = []
    found = side_by_side("both", lambda: calls.append("a"), lambda: calls.append("b"), 3, 2.0)
    assert calls == ["a", "b"] * 3
    assert len(found.ours) == len(found.compared) == 3
    assert found.goal == 2.0


def test_all_figures_are_kept_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show([RATIO], tmp_path / "figures.json")
    assert RATIO.row() in capsys.readouterr().out
    expected = {"one; other": [RATIO.ours, RATIO.compared]}
    assert json.loads((tmp_path / "figures.json").read_text("utf-8")) == expected
    draw([RATIO, Ratio("no goal", [2.0], [1.0])], tmp_path / "bars.svg")
    drawn = (tmp_path / "bars.svg").read_text("utf-8")
    assert ">one; other: 3.00<" in drawn
    assert ">no goal: 0.50<" in drawn


def test_rate_of_a_product_is_plausible() -> None:
    assert 1e8 < matmul_rate(1, side=64) < 1e13
