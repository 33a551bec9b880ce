"""Ratios of sums in the log."""

import pytest

pytest.importorskip("fairseq")

from fairseq.logging import metrics

from biomedgpt_fairseq.tasks.closed_set import log_ratio

LOGS = [{"_a": 3.0, "_b": 4.0, "_rows": 2}, {"_a": 1.0, "_b": 4.0, "_rows": 3}]


def test_ratios_of_one_count_do_not_disturb_each_other() -> None:
    with metrics.aggregate() as found:
        for log in LOGS:
            log_ratio("a", [log], "_a", "_rows", 3)
            log_ratio("b", [log], "_b", "_rows", 3)
    assert dict(found.get_smoothed_values()) == {"a": 0.8, "b": 1.6}


def test_nothing_is_logged_without_rows() -> None:
    with metrics.aggregate() as found:
        log_ratio("a", [{"_a": 0.0, "_rows": 0}], "_a", "_rows", 3)
    assert not found.get_smoothed_values()
