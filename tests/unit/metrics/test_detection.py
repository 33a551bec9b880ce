"""Overlap, F1 and average precision of boxes."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

from biomedgpt_fairseq.metrics.bootstrap import intervals
from biomedgpt_fairseq.metrics.detection import (
    CocoBoxes,
    Located,
    detection_metrics,
    overlaps,
    picture_f1,
)

pytest.importorskip("pycocotools")


def boxes(*items: tuple[float, float, float, float, str, float]) -> Located:
    corners = np.array([item[:4] for item in items], dtype=np.float64).reshape(-1, 4)
    return Located(corners, [item[4] for item in items], np.array([item[5] for item in items]))


def random_pictures(rng: np.random.Generator, number: int) -> tuple[list[Located], list[Located]]:
    found, gold = [], []
    for _ in range(number):
        wanted, guessed = [], []
        for _ in range(int(rng.integers(1, 6))):
            x, y = rng.uniform(0, 50, 2)
            w, h = rng.uniform(5, 30, 2)
            name = "abc"[int(rng.integers(3))]
            wanted.append((x, y, x + w, y + h, name, 1.0))
            if rng.random() < 0.8:
                dx, dy = rng.normal(0, 3, 2)
                other = name if rng.random() < 0.9 else "a"
                guessed.append((x + dx, y + dy, x + w + dx, y + h + dy, other, rng.random()))
            if rng.random() < 0.3:
                guessed.append((0, 0, w, h, name, rng.random()))
        found.append(boxes(*guessed))
        gold.append(boxes(*wanted))
    return found, gold


def test_overlap_by_hand() -> None:
    table = overlaps(
        [[0, 0, 10, 10], [5, 5, 5, 9]], [[5, 0, 15, 10], [0, 0, 10, 10], [20, 20, 30, 30]]
    )
    assert table[0].tolist() == pytest.approx([1 / 3, 1.0, 0.0])
    assert table[1].tolist() == [0, 0, 0]


def test_each_gold_box_counts_once_and_only_under_its_name() -> None:
    gold = boxes((0, 0, 10, 10, "a", 1), (20, 0, 30, 10, "b", 1))
    twice = boxes((0, 0, 10, 10, "a", 0.9), (1, 0, 10, 10, "a", 0.8))
    assert picture_f1(twice, gold) == pytest.approx(2 * 1 / 4)
    assert picture_f1(boxes((20, 0, 30, 10, "a", 0.9)), gold) == 0
    assert picture_f1(gold, gold) == 1
    assert picture_f1(boxes(), boxes()) == 1 and picture_f1(boxes(), gold) == 0


def test_perfect_boxes_have_average_precision_one() -> None:
    _, gold = random_pictures(np.random.default_rng(0), 6)
    metrics, notes = detection_metrics(gold, gold)
    assert not notes
    assert [(m.name, i.value) for m, i in zip(metrics, intervals(metrics, 1), strict=True)] == [
        *[("mAP", pytest.approx(1)), ("AP50", pytest.approx(1)), ("f1_50", 1)],
        *[(f"AP50 {name}", pytest.approx(1)) for name in "abc"],
    ]


@pytest.mark.parametrize("seed", range(5))
def test_resamples_have_the_library_s_value(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found, gold = random_pictures(rng, 12)
    coco = CocoBoxes(found, gold)
    counts = rng.integers(0, 3, (4, 12)).astype(np.float64)
    for metric in (coco.metric("mAP"), coco.metric("AP50", True), coco.metric("b", True, 1)):
        whole = metric.of_counts(np.ones((1, 12)))
        assert metric.of_rows is not None
        assert whole[0] == pytest.approx(metric.of_rows(np.arange(12)), abs=1e-9)
        resampled = metric.of_counts(counts)
        for row, value in zip(counts.astype(int), resampled, strict=True):
            picked = np.repeat(np.arange(12), row)
            assert value == pytest.approx(metric.of_rows(picked), abs=1e-9)


def test_names_without_gold_boxes_in_a_resample_are_left_out() -> None:
    gold = [boxes((0, 0, 9, 9, "a", 1)), boxes((0, 0, 9, 9, "b", 1))]
    found = [gold[0], boxes()]
    metric = CocoBoxes(found, gold).metric("mAP")
    values = metric.of_counts(np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0], [0.0, 0.0]]))
    assert values[:3].tolist() == pytest.approx([0.5, 1.0, 0.0]) and np.isnan(values[3])


def test_interval_is_by_picture() -> None:
    found, gold = random_pictures(np.random.default_rng(3), 30)
    metrics, _ = detection_metrics(found, gold)
    value, low, high = intervals(metrics, seed=1)[0]
    assert 0 < low < value < high < 1


def test_missing_library_is_named_and_f1_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("pycocotools"):
            raise ModuleNotFoundError("No module named 'pycocotools'")
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    gold = [boxes((0, 0, 9, 9, "a", 1))]
    metrics, notes = detection_metrics(gold, gold)
    assert [metric.name for metric in metrics] == ["f1_50"]
    assert "mAP and AP50 left out" in notes[0] and "[metrics]" in notes[0]
