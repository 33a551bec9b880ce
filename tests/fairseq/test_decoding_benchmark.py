"""The benchmark's own comparison: both sides find the same answers and scores, or it fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import bench_decoding

SMALL = [
    "--size",
    "micro",
    "--batch",
    "2",
    "--image",
    "64",
    "--answers",
    "60",
    "--candidates",
    "45",
    "--repeats",
    "2",
]


def test_both_sides_agree_and_every_repetition_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench_decoding.main([*SMALL, "--json", str(tmp_path / "figures.json")]) == 0

    figures = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert len(figures) == 4
    assert all(len(side) == 2 and min(side) > 0 for pair in figures.values() for side in pair)
    printed = capsys.readouterr().out
    assert all(name in printed for name in figures)


def test_another_answer_or_score_is_noticed() -> None:
    def hypothesis(score: float, *tokens: int) -> list[list[dict[str, Any]]]:
        return [[{"tokens": torch.tensor(tokens), "score": score}]]

    bench_decoding.check_hypotheses(hypothesis(-1.0, 4, 2), hypothesis(-1.0, 4, 2))
    for other in (hypothesis(-1.0, 5, 2), hypothesis(-1.1, 4, 2)):
        with pytest.raises(AssertionError):
            bench_decoding.check_hypotheses(hypothesis(-1.0, 4, 2), other)
