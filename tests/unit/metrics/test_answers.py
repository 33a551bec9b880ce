"""Exact match of answers."""

from biomedgpt_fairseq.metrics.answers import is_closed, match_score


def test_match_uses_the_best_equal_reference():
    references = {"Cyst": 0.3, "cyst ": 0.5}
    assert match_score(" cyst", references) == 0.5
    assert match_score("cyst", references, None) == 0.0
    assert match_score("mass", references) == 0.0


def test_question_without_references_is_open():
    assert not is_closed({}) and is_closed({"maybe": 0.3, " Yes": 0.6})
