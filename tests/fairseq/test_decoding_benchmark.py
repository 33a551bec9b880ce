"""The benchmark's own comparison: both sides find the same answers and scores, or it fails."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks import bench_decoding
from benchmarks.ratios import Ratio
from biomedgpt_fairseq.text.trie import AnswerTrie


def test_candidates_of_a_sample_of_passes_count_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_decoding, "MAX_PLAIN", 15)
    monkeypatch.setattr(bench_decoding, "side_by_side", lambda *_: Ratio("", [1.0], [2.0]))
    with torch.inference_mode():
        setting = bench_decoding.build_setting("micro", 2, 64, repeats=1)
        trie = AnswerTrie(bench_decoding.make_answers(45))
        assert bench_decoding.bench_candidates(setting, trie).compared == [6.0]


def test_another_answer_or_score_is_noticed() -> None:
    def hypothesis(score: float, *tokens: int) -> list[list[dict[str, Any]]]:
        return [[{"tokens": torch.tensor(tokens), "score": score}]]

    bench_decoding.check_hypotheses(hypothesis(-1.0, 4, 2), hypothesis(-1.0, 4, 2))
    for other in (hypothesis(-1.0, 5, 2), hypothesis(-1.1, 4, 2)):
        with pytest.raises(AssertionError):
            bench_decoding.check_hypotheses(hypothesis(-1.0, 4, 2), other)
