from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.bench_startup import make_texts
from benchmarks.cost_curves import growth_order, main


@pytest.mark.parametrize("order", [0.0, 1.0, 2.0])
def test_order_is_that_of_the_power_law(order: float) -> None:
    curve = [(1, 99.0), *((x, 3.0 * x**order) for x in (10, 100, 1000))]
    assert growth_order(curve) == pytest.approx(order)


def test_curves_are_measured_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = "--size micro --answers 5 10 20 --sides 32 64 --batches 1 2 --rows 10 20 --repeats 1"
    files = ["--json", str(tmp_path / "curves.json"), "--svg", str(tmp_path / "curves.svg")]
    assert main([*few.split(), *files]) == 0
    curves = json.loads((tmp_path / "curves.json").read_text("utf-8"))
    assert len(curves) == 6
    assert all(seconds > 0 for curve in curves.values() for _, seconds in curve)
    assert "<svg" in (tmp_path / "curves.svg").read_text("utf-8")
    assert capsys.readouterr().out.count("order") == 6


def test_answers_of_the_start_up_benchmark_differ() -> None:
    texts = make_texts(300)
    assert len(set(texts)) == 300
    assert max(len(text.split()) for text in texts) == 5
