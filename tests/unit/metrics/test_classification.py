"""Scores of classes and calibration on small tables."""

import numpy as np
import pytest

from biomedgpt_fairseq.metrics import classification

GOLD, PREDICTED = [0, 0, 1, 2], [0, 1, 1, 1]


def test_f1():
    per_class = [2 / 3, 0.5, 0.0]
    assert classification.f1(GOLD, PREDICTED) == pytest.approx(sum(per_class) / 3)
    weighted = (2 * per_class[0] + per_class[1]) / 4
    assert classification.f1(GOLD, PREDICTED, "weighted") == pytest.approx(weighted)


def test_confusion_matrix_has_gold_rows():
    matrix = classification.confusion_matrix(GOLD, PREDICTED, 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    with pytest.raises(ValueError, match="0..1"):
        classification.confusion_matrix(GOLD, PREDICTED, 2)


def test_binary_auc_is_the_share_of_ordered_pairs():
    probabilities = [[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.2, 0.8]]
    assert classification.auc([0, 0, 1, 1], probabilities) == pytest.approx(0.75)


def test_auc_of_several_classes_leaves_absent_ones_out():
    probabilities = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1]]
    assert classification.auc([0, 1, 0], probabilities) == 1.0
    assert np.isnan(classification.auc([0, 0, 0], probabilities))


def test_reliability_bins_and_calibration_error():
    got = classification.reliability([0.1, 0.2, 0.95, 1.0], [0, 1, 1, 1], num_bins=5)
    assert got.counts.tolist() == [2, 0, 0, 0, 2]
    assert got.accuracy[0] == 0.5 and got.confidence[4] == pytest.approx(0.975)
    assert np.isnan(got.accuracy[1])
    assert got.expected_error == pytest.approx(0.5 * 0.35 + 0.5 * 0.025)


@pytest.mark.parametrize("confidence", [[1.2, 0.1], [0.5]])
def test_reliability_rejects_bad_input(confidence):
    with pytest.raises(ValueError):
        classification.reliability(confidence, [1, 0])


def test_unequal_or_empty_vectors_raise():
    with pytest.raises(ValueError, match="one length"):
        classification.f1([0, 1], [0])
    with pytest.raises(ValueError, match="one length"):
        classification.f1([], [])


def test_auc_checks_its_table():
    with pytest.raises(ValueError, match="gold classes"):
        classification.auc([0, 2], [[0.5, 0.5], [0.5, 0.5]])
    with pytest.raises(ValueError, match="scores"):
        classification.auc([0, 1], [0.5, 0.5])
