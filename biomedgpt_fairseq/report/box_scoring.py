"""Metrics of answers that are boxes: objects with names, or the region of a text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from biomedgpt_fairseq.metrics.bootstrap import mean_metric
from biomedgpt_fairseq.metrics.detection import (
    HALF,
    Located,
    detection_metrics,
    overlaps,
    picture_f1,
)
from biomedgpt_fairseq.report.scored import Predicted, Scored, make_row
from biomedgpt_fairseq.text.box_text import parse_corners, parse_named_boxes


def located(cell: str, scored: bool = False) -> Located:
    """Boxes of a cell `x0,y0,x1,y1,tag,name&&...`; scored: the tags are their scores."""
    boxes = parse_named_boxes(cell) if cell else []
    corners = np.array([box.corners for box in boxes]).reshape(-1, 4)
    scores = np.array([float(box.tag) if scored else 1.0 for box in boxes])
    return Located(corners, [box.name for box in boxes], scores)


def task_boxes(task: str, cell: str, scored: bool = False) -> Located:
    """Boxes of an answer, or of a gold text, of a task; the region of a text has no name."""
    if task == "detection":
        return located(cell, scored)
    return Located(np.array([parse_corners(cell)]), [""], np.ones(1))


def object_f1(answer: str, gold: str) -> float:
    """F1 of the boxes of an answer at IoU 0.5."""
    return picture_f1(located(answer, scored=True), located(gold))


def region_overlap(answer: str, gold: str) -> float:
    """Intersection over union of two boxes `x0,y0,x1,y1`."""
    return float(overlaps([parse_corners(answer)], [parse_corners(gold)])[0, 0])


def score_objects(predictions: Sequence[Predicted]) -> Scored:
    """mAP and AP50 of COCO, and the mean F1 of a picture at IoU 0.5, which orders the rows."""
    found = [located(p.answer, scored=True) for p in predictions]
    metrics, notes = detection_metrics(found, [located(p.gold) for p in predictions])
    rows = [make_row(p, object_f1(p.answer, p.gold)) for p in predictions]
    return Scored(rows, metrics, notes)


def score_regions(predictions: Sequence[Predicted]) -> Scored:
    """Share of regions found with an IoU of 0.5 at least, and the mean IoU."""
    overlap = np.array([region_overlap(p.answer, p.gold) for p in predictions])
    right = (overlap >= HALF).astype(np.float64)
    metrics = [
        mean_metric("iou_50", right, "IoU of 0.5 at least"),
        mean_metric("mean IoU", overlap, "intersection over union"),
    ]
    rows = [
        make_row(p, value, {"IoU": float(iou)})
        for p, value, iou in zip(predictions, right.tolist(), overlap, strict=True)
    ]
    return Scored(rows, metrics)
