"""What boxes found without a network score on a data set: the floors of its results.

    python -m benchmarks.box_floors detection data/bccd

FOLDER holds train.tsv and the split to score. The metrics are those of `biomedgpt evaluate`, by the
same code. Boxes are compared as shares of the width and height of their pictures.

    mean box              of each name, of all texts
    mean box of the text  of the training rows with the same text, for regions
    frequent boxes        training boxes that overlap (IoU 0.5) boxes of their name in most training
                          pictures, each the best beside those before it; as many as give the
                          best F1 on the training pictures
    many frequent boxes   the same, 100 of each name, scored by that share: for average precision
    nearest image         the boxes of the training row with the nearest picture (32 x 32 grey)
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.floors import IMAGE_SIDE, Answered
from biomedgpt_fairseq.data.box_examples import DETECTION_COLUMNS, GROUNDING_COLUMNS
from biomedgpt_fairseq.data.image import ImageSource, load_image
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.metrics.detection import HALF, MAX_FOUND, Located, overlaps, picture_f1
from biomedgpt_fairseq.report.box_scoring import task_boxes
from biomedgpt_fairseq.report.summary import Summary, summarize
from biomedgpt_fairseq.text.box_text import NamedBox, format_corners, format_named_boxes

COLUMNS = {"detection": DETECTION_COLUMNS, "visual_grounding": GROUNDING_COLUMNS}
CANDIDATES = 2000
"""Boxes of a name that are compared with each other: all pairs."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Item:
    """A row. gold: its cell; boxes: as shares of the size (width, height); pixels: (P,)."""

    text: str
    gold: str
    boxes: Located
    size: tuple[int, int]
    pixels: Floats


def read_items(task: str, path: Path) -> list[Item]:
    """Rows of a TSV file of the task."""
    reader = TsvReader(str(path))
    items = []
    for i in range(len(reader)):
        cells = dict(zip(COLUMNS[task], reader[i], strict=True))
        gold = cells["labels" if task == "detection" else "box"]
        image = load_image(cells["image"], ImageSource(root=path.parent))
        grey = image.convert("L").resize((IMAGE_SIDE, IMAGE_SIDE))
        found = task_boxes(task, gold)
        boxes = Located(found.corners / np.tile(image.size, 2), found.names, found.scores)
        pixels = np.asarray(grey, np.float64).ravel() / 255
        items.append(Item(cells.get("text", ""), gold, boxes, image.size, pixels))
    return items


def mean_boxes(train: Sequence[Item]) -> Located:
    """The mean box of each name, scored 1."""
    boxes = _by_name(train)
    corners = np.array([found.mean(axis=0) for found, _ in boxes.values()])
    return Located(corners, list(boxes), np.ones(len(boxes)))


def mean_region(train: Sequence[Item], text: str) -> Located:
    """The mean box of the rows with the text; of all rows where there is none."""
    return mean_boxes([item for item in train if item.text == text] or train)


def frequent_boxes(train: Sequence[Item], most: int = MAX_FOUND) -> Located:
    """Boxes that hit most, at most so many of each name, the best first.

    Scores: the share of pictures in which the box overlaps one of its name that no box before it
    has taken.
    """
    found: list[tuple[float, str, Floats]] = []
    for name, (boxes, owners) in _by_name(train).items():
        found += [(share, name, box) for share, box in _cover(boxes, owners, most)]
    found.sort(key=lambda one: -one[0])
    shares, names, corners = zip(*found, strict=True)
    return Located(np.array(corners), names, np.array(shares))


def _by_name(train: Sequence[Item]) -> dict[str, tuple[Floats, NDArray[np.int64]]]:
    """Of each name its boxes (n, 4) and the numbers (n,) of their pictures."""
    rows: dict[str, list[tuple[Floats, int]]] = defaultdict(list)
    for number, item in enumerate(train):
        for box, name in zip(item.boxes.corners, item.boxes.names, strict=True):
            rows[name].append((box, number))
    return {
        name: (np.array([box for box, _ in found]), np.array([number for _, number in found]))
        for name, found in rows.items()
    }


def _cover(boxes: Floats, owners: NDArray[np.int64], most: int) -> Iterator[tuple[float, Floats]]:
    boxes, owners = boxes[:CANDIDATES], owners[:CANDIDATES]
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    pictures = owners[-1] + 1
    table = overlaps(boxes, boxes)  # (C, n)
    table[table < HALF] = 0
    for _ in range(min(most, len(boxes))):
        hits = np.logical_or.reduceat(table > 0, starts, axis=1).sum(axis=1)  # (C,)
        best = int(hits.argmax())
        if hits[best] == 0:
            return
        yield float(hits[best] / pictures), boxes[best]
        for start, end in zip(starts, [*starts[1:], len(boxes)], strict=True):
            taken = start + int(table[best, start:end].argmax())
            if table[best, taken] > 0:
                table[:, taken] = 0


def best_count(train: Sequence[Item], boxes: Located) -> int:
    """How many of the boxes, from the first, have the best mean F1."""
    scores = [
        np.mean([picture_f1(first(boxes, n), item.boxes) for item in train[:CANDIDATES]])
        for n in range(1, min(len(boxes.names), MAX_FOUND) + 1)
    ]
    return 1 + int(np.argmax(scores))


def first(boxes: Located, count: int) -> Located:
    """The first boxes of an order."""
    return Located(boxes.corners[:count], boxes.names[:count], boxes.scores[:count])


def nearest_by_image(train: Sequence[Item], row: Item, known: Floats) -> Located:
    """Boxes of the training row whose picture is nearest.  known: (N, P) pixels of all."""
    return train[int(((known - row.pixels) ** 2).sum(axis=1).argmin())].boxes


def baselines(
    task: str, train: Sequence[Item], rows: Sequence[Item]
) -> Iterator[tuple[str, Sequence[Located]]]:
    """Names of the baselines of a task with their boxes, one a row."""
    frequent = frequent_boxes(train)
    yield "mean box", [mean_boxes(train)] * len(rows)
    if task == "detection":
        yield "frequent boxes", [first(frequent, best_count(train, frequent))] * len(rows)
        yield "many frequent boxes", [frequent] * len(rows)
    else:
        yield "mean box of the text", [mean_region(train, row.text) for row in rows]
        yield "frequent boxes", [first(frequent, 1)] * len(rows)
    known = np.stack([item.pixels for item in train])
    yield "nearest image", [nearest_by_image(train, row, known) for row in rows]


def score(task: str, rows: Sequence[Item], found: Sequence[Located], seed: int = 1) -> Summary:
    """Metrics of the boxes, as `biomedgpt evaluate` gives them."""
    answers = [_cell(task, boxes, row.size) for boxes, row in zip(found, rows, strict=True)]
    pairs = enumerate(zip(rows, answers, strict=True))
    predictions = [Answered(str(i), a, 0.0, r.gold, {r.gold: 1.0}, None) for i, (r, a) in pairs]
    return summarize(task, predictions, None, seed)


def _cell(task: str, boxes: Located, size: tuple[int, int]) -> str:
    corners = (boxes.corners * np.tile(size, 2)).tolist()
    if task != "detection":
        return format_corners(corners[0])
    parts = zip(corners, boxes.scores, boxes.names, strict=True)
    return format_named_boxes(NamedBox((*c,), f"{s:.6f}", n) for c, s, n in parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.box_floors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", choices=sorted(COLUMNS))
    parser.add_argument("folder", type=Path, help="folder of train.tsv and the scored split")
    parser.add_argument("--split", default="test", help="scored split (default: test)")
    parser.add_argument("--output", type=Path, help="also write all metrics there, as JSON")
    args = parser.parse_args(arguments)
    train = read_items(args.task, args.folder / "train.tsv")
    rows = read_items(args.task, args.folder / f"{args.split}.tsv")
    metrics = {}
    for name, boxes in baselines(args.task, train, rows):
        summary = score(args.task, rows, boxes)
        metrics[name] = summary.as_dict()["metrics"]
        for line in summary.lines():
            print(f"{name:20}  {line}", flush=True)
    if args.output is not None:
        args.output.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
