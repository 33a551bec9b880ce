"""Baselines of boxes on rows whose right answers are seen at once."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.box_floors import (
    baselines,
    best_count,
    frequent_boxes,
    main,
    mean_boxes,
    read_items,
    score,
)

LUNGS = [
    (20, "0,0,10,20,1,right&&10,0,20,20,2,left"),
    (40, "0,0,20,40,1,right&&20,0,40,40,2,left"),
    (20, "0,0,10,16,1,right&&12,0,20,20,2,left"),
]


def picture(side: int, grey: int = 0) -> str:
    file = io.BytesIO()
    Image.new("L", (side, side), grey).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def write(folder: Path, rows: list[tuple[str, ...]], split: str = "train") -> Path:
    path = folder / f"{split}.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_lungs(folder: Path, split: str = "train") -> Path:
    rows = [(str(i), picture(side, 80 * i), cell) for i, (side, cell) in enumerate(LUNGS)]
    return write(folder, rows, split)


def test_mean_box_is_that_of_shares_of_the_picture(tmp_path: Path) -> None:
    mean = mean_boxes(read_items("detection", write_lungs(tmp_path)))
    assert list(mean.names) == ["right", "left"]
    assert mean.corners[0] == pytest.approx([0, 0, 0.5, (1 + 1 + 0.8) / 3])
    assert mean.corners[1] == pytest.approx([(0.5 + 0.5 + 0.6) / 3, 0, 1, 1])


def test_frequent_boxes_add_what_those_before_them_miss(tmp_path: Path) -> None:
    cells = ["0,0,8,8,0,a&&10,10,18,18,0,a", "0,0,8,8,0,a", "0,0,9,9,0,a", "10,10,18,18,0,a"]
    items = read_items("detection", write(tmp_path, [("r", picture(20), c) for c in cells]))
    found = frequent_boxes(items)
    assert (found.corners * 20).round().tolist() == [[0, 0, 8, 8], [10, 10, 18, 18]]
    assert found.scores.tolist() == [0.75, 0.5]
    assert len(frequent_boxes(items, most=1).names) == 1
    assert best_count(items, found) == 2  # mean F1 0.83; the first alone has 0.67


def test_perfect_boxes_have_perfect_scores_in_pixels_of_each_picture(tmp_path: Path) -> None:
    items = read_items("detection", write_lungs(tmp_path))
    metrics = score("detection", items, [item.boxes for item in items]).as_dict()["metrics"]
    assert [metrics[name]["value"] for name in ("mAP", "AP50", "f1_50")] == pytest.approx([1, 1, 1])
    found = dict(baselines("detection", items, items))
    assert found["nearest image"] == [item.boxes for item in items]


def test_regions_take_the_mean_of_their_text(tmp_path: Path) -> None:
    rows = [("r", "mass", "0,0,10,10"), ("s", "node", "10,10,20,20"), ("t", "mass", "0,0,12,10")]
    path = write(tmp_path, [(i, picture(20, 9), text, box) for i, text, box in rows])
    items = read_items("visual_grounding", path)
    found = dict(baselines("visual_grounding", items, items))
    of_text = [(boxes.corners[0] * 20).tolist() for boxes in found["mean box of the text"]]
    assert of_text == [pytest.approx(box) for box in ([0, 0, 11, 10], [10, 10, 20, 20]) * 2][:3]
    metrics = score("visual_grounding", items, found["frequent boxes"]).as_dict()["metrics"]
    assert metrics["iou_50"]["value"] == pytest.approx(2 / 3)


def test_the_program_prints_and_writes_all_metrics(tmp_path, capsys) -> None:
    write_lungs(tmp_path)
    write_lungs(tmp_path, "test")
    assert main(["detection", str(tmp_path), "--output", str(tmp_path / "floors.json")]) == 0
    found = json.loads((tmp_path / "floors.json").read_text())
    kinds = ["mean box", "frequent boxes", "many frequent boxes", "nearest image"]
    assert list(found) == kinds and found["mean box"]["AP50"]["value"] == pytest.approx(1)
    assert "frequent boxes" in capsys.readouterr().out
