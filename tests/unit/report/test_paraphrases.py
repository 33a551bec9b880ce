"""Comparison of wordings."""

import pytest

from biomedgpt_fairseq.report.model import Measure, Row
from biomedgpt_fairseq.report.paraphrases import Paraphrases, Spread, compare_wordings


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
