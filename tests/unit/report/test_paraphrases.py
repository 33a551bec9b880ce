"""Comparison of wordings."""

from dataclasses import replace

import numpy as np
import pytest

from biomedgpt_fairseq.metrics.bootstrap import mean_metric
from biomedgpt_fairseq.report.model import Measure, Row
from biomedgpt_fairseq.report.paraphrases import (
    Paraphrases,
    Spread,
    SpreadLimits,
    compare_wordings,
    spread_limits,
)


def result(template: str, answers: str, score: float, *more: str):
    rows = [Row(str(n), text, -1.0, "a", 1.0) for n, text in enumerate(answers.split())]
    names = ("score", *more)
    return template, rows, [Measure(name, score, 0.0, 1.0, len(rows)) for name in names]


@pytest.fixture
def found() -> Paraphrases:
    return compare_wordings(
        "vqa",
        [
            result(" {}", "yes no left mass", 0.75, "open"),
            result(" question: {}", "Yes no right mass", 0.5),
            result(" please answer: {}", "yes yes left mass", 1.0, "open"),
        ],
    )


def test_agreement_is_with_the_released_wording(found: Paraphrases) -> None:
    assert [w.agreement for w in found.wordings] == [1.0, 0.75, 0.75]
    assert [w.released for w in found.wordings] == [True, False, False]
    assert found.stable == 0.5


def test_spread_is_over_all_wordings_that_have_the_metric(found: Paraphrases) -> None:
    assert found.spreads() == {"score": Spread(0.75, 0.75, 0.5, 0.5)}


def test_entry_of_the_metrics_file(found: Paraphrases) -> None:
    entry = found.as_dict()

    assert entry["instruction"] == "vqa" and entry["same_answer_in_all"] == 0.5
    assert entry["metrics"]["score"] == {
        "released": 0.75,
        "mean": 0.75,
        "worst": 0.5,
        "spread": 0.5,
    }
    assert entry["wordings"][1]["template"] == " question: {}"
    assert entry["wordings"][1]["metrics"]["score"]["value"] == 0.5


def test_line_tells_the_spread(found: Paraphrases) -> None:
    assert found.line().startswith(
        "3 wordings: score 0.7500 as released, mean 0.7500, worst 0.5000"
    )
    assert found.line().endswith("50.0% of the rows answered the same in all")


def test_rows_must_be_the_same() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare_wordings("vqa", [result("a", "x y", 1.0), result("b", "x", 1.0)])


def test_limits_pair_the_rows_of_all_wordings() -> None:
    # Each row is right in one wording only: the mean is the same whatever rows are drawn.
    right = np.arange(200) % 4 == 0
    found = spread_limits(
        [[mean_metric("score", right), mean_metric("open", right)], [mean_metric("score", ~right)]],
        seed=1,
    )

    assert list(found) == ["score"]
    mean, worst, spread = found["score"]
    assert mean == (0.5, 0.5)
    assert worst[0] < 0.25 < worst[1] < 0.35 and worst[0] > 0.15
    assert spread == pytest.approx((1 - 2 * worst[1], 1 - 2 * worst[0]))


def test_metric_without_a_row_has_no_limits() -> None:
    nothing = [mean_metric("score", [float("nan")] * 3)]
    assert spread_limits([nothing, nothing], seed=1) == {}


def test_limits_stand_beside_the_values(found: Paraphrases) -> None:
    limits = {"score": SpreadLimits((0.5, 1.0), (0.25, 0.75), (0.125, 0.875))}
    entry = replace(found, limits=limits).as_dict()["metrics"]["score"]

    assert entry["worst"] == 0.5 and entry["mean_interval"] == [0.5, 1.0]
    assert entry["worst_interval"] == [0.25, 0.75] and entry["spread_interval"] == [0.125, 0.875]
