"""Exact match of answers."""

import pytest

from biomedgpt_fairseq.metrics.answers import answer_accuracy, is_closed, match_score

REFERENCES = [{"yes": 1.0}, {"Liver mass": 0.6, "cyst": 0.3}, {"no": 1.0}, {"left lung": 1.0}]


def test_match_uses_the_best_equal_reference():
    references = {"Cyst": 0.3, "cyst ": 0.5}
    assert match_score(" cyst", references) == 0.5
    assert match_score("cyst", references, None) == 0.0
    assert match_score("mass", references) == 0.0


def test_closed_and_open_questions_are_counted_apart():
    got = answer_accuracy(["Yes ", "liver mass", "yes", "right lung"], REFERENCES)
    assert got.overall == pytest.approx(0.4)
    assert got.closed == 0.5 and got.open == pytest.approx(0.3)
    assert (got.num_closed, got.num_open) == (2, 2)


def test_given_kinds_win_over_yes_and_no():
    got = answer_accuracy(["yes"], [{"yes": 1.0}], closed=[False])
    assert got.closed is None and got.open == 1.0


def test_question_without_references_is_open():
    assert not is_closed({}) and is_closed({"maybe": 0.3, " Yes": 0.6})


def test_unequal_lengths_raise():
    with pytest.raises(ValueError, match="differ"):
        answer_accuracy(["yes"], [])
