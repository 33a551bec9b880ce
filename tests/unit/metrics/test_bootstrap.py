"""Bootstrap intervals: seeded, the same as resampling row by row, over picked rows."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from biomedgpt_fairseq.metrics import bootstrap
from biomedgpt_fairseq.metrics.bootstrap import RowMetric, intervals, mean_metric, of_sums
from biomedgpt_fairseq.metrics.class_bootstrap import FEWER_DRAWS, auc_metric, f1_metric


def counts_of(resamples: NDArray[np.int64]) -> NDArray[np.float64]:
    """(R, N) row numbers -> (R, N) how often each row is drawn."""
    size = resamples.shape[1]
    return np.array([np.bincount(rows, minlength=size) for rows in resamples], dtype=np.float64)


def test_mean_is_seeded_and_inside_its_interval() -> None:
    metric = mean_metric("mean", np.arange(200) % 2)
    (first,) = intervals([metric], seed=1)
    assert [first] == intervals([metric], seed=1)
    assert first.low < first.value == 0.5 < first.high
    # Four standard errors of a share of one half.
    assert first.high - first.low == pytest.approx(4 * 0.5 / 200**0.5, rel=0.1)


def test_limits_are_quantiles_of_resampled_means() -> None:
    values = np.random.default_rng(3).random(40)
    (found,) = intervals([mean_metric("mean", values)], seed=5)
    picks = np.random.default_rng(5).integers(0, 40, (bootstrap.DRAWS, 40))
    low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    assert found == pytest.approx((values.mean(), low, high))


def test_resamples_in_pieces_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = mean_metric("mean", np.random.default_rng(3).random(30))
    whole = intervals([metric], seed=2)
    monkeypatch.setattr(bootstrap, "CHUNK_ELEMENTS", 1000)
    assert intervals([metric], seed=2)[0] == pytest.approx(whole[0])


def test_metric_of_some_rows_ignores_the_others_and_empty_resamples() -> None:
    metric = mean_metric("open", [1.0, np.nan, np.nan])
    assert metric.covered.tolist() == [True, False, False]
    assert intervals([metric], seed=0) == [(1.0, 1.0, 1.0)]
    (nothing,) = intervals([mean_metric("open", [np.nan, np.nan])], seed=0)
    assert np.isnan(nothing).all()


def test_picked_rows_are_scored_as_if_alone() -> None:
    values = np.arange(6.0)
    whole = mean_metric("mean", values)
    alone = mean_metric("mean", values[[1, 2, 5]])
    assert intervals([whole], 4, picked=[5, 1, 2])[0] == pytest.approx(intervals([alone], 4)[0])


def test_sums_are_scored_together() -> None:
    ratio = of_sums([[1, 2], [3, 4]], lambda sums: sums[:, 0] / sums[:, 1])
    assert ratio(np.array([[1.0, 1.0], [0.0, 2.0]])) == pytest.approx([4 / 6, 6 / 8])


@pytest.mark.parametrize("picked", [[], [-1], [3]])
def test_rows_must_exist(picked: list[int]) -> None:
    with pytest.raises(ValueError, match="row numbers below 3"):
        intervals([mean_metric("mean", [1, 2, 3])], 0, picked=picked)


def test_level_lies_between_none_and_all() -> None:
    with pytest.raises(ValueError, match="level"):
        intervals([mean_metric("mean", [1, 2, 3])], 0, level=1.0)


@pytest.fixture(scope="module")
def drawn() -> NDArray[np.int64]:
    # Few rows: many resamples lack a class.
    return np.random.default_rng(0).integers(0, 12, (60, 12))


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_f1_of_each_resample_is_that_of_sklearn(drawn: NDArray[np.int64], average: str) -> None:
    rng = np.random.default_rng(1)
    gold, predicted = rng.integers(0, 4, 12), rng.integers(0, 5, 12)
    metric = f1_metric(gold, predicted, average)
    wanted = [
        sklearn_metrics.f1_score(gold[r], predicted[r], average=average, zero_division=0)
        for r in drawn
    ]
    assert metric.of_counts(counts_of(drawn)) == pytest.approx(wanted, abs=1e-12)
    assert intervals([metric], 0)[0].value == pytest.approx(
        sklearn_metrics.f1_score(gold, predicted, average=average)
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_auc_of_each_resample_is_that_of_sklearn(drawn: NDArray[np.int64], classes: int) -> None:
    rng = np.random.default_rng(2)
    gold = rng.integers(0, classes, 12)
    table = rng.integers(0, 4, (12, classes)) / 4.0  # with ties
    found = auc_metric(gold, table).of_counts(counts_of(drawn))
    assert found == pytest.approx([_auc(gold[r], table[r]) for r in drawn], abs=1e-12, nan_ok=True)


def _auc(gold: NDArray[np.int64], table: NDArray[np.float64]) -> float:
    columns = [1] if table.shape[1] == 2 else range(table.shape[1])
    areas = [
        sklearn_metrics.roc_auc_score(gold == k, table[:, k])
        for k in columns
        if 0 < (gold == k).sum() < len(gold)
    ]
    return float(np.mean(areas)) if areas else float("nan")


def test_auc_of_one_class_is_undefined() -> None:
    metric = auc_metric([0, 0], [[0.9, 0.1], [0.2, 0.8]])
    assert np.isnan(intervals([metric], 0)[0]).all()


def test_auc_of_many_classes_takes_fewer_resamples() -> None:
    metric = auc_metric(np.arange(30), np.eye(30))
    assert metric.draws == FEWER_DRAWS < RowMetric("", metric.of_counts, metric.covered).draws
    assert intervals([metric], 0)[0].value == 1.0
