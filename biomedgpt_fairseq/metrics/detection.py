"""Boxes found in pictures: overlap, F1 at one threshold, and the average precision of COCO.

N pictures, K names, T overlap thresholds, D found boxes of a name, R resamples.
"""

import contextlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from biomedgpt_fairseq.metrics.bootstrap import DRAWS, Floats, RowMetric, mean_metric

logger = logging.getLogger(__name__)

LIBRARY = "pycocotools"
INSTALL = "pip install pycocotools, or this project with its extra [metrics]"
HALF = 0.5
MAX_FOUND = 100  # boxes of a name in a picture that COCO looks at
MANY_NAMES = 12
# Each resample orders all boxes of a name at ten thresholds.
MANY_BOXES, FEWER_DRAWS = 2000, 200


@dataclass(frozen=True)
class Located:
    """Boxes of one picture: corners (n, 4) in pixels, a name and a score each (n,)."""

    corners: Floats
    names: Sequence[str]
    scores: Floats


def overlaps(first: ArrayLike, second: ArrayLike) -> Floats:
    """Intersection over union (n, m) of boxes (n, 4) and (m, 4); 0 where both have no area."""
    a, b = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) for boxes in (first, second))
    low = np.maximum(a[:, None, :2], b[None, :, :2])  # (n, m, 2)
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None).prod(axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def picture_f1(found: Located, gold: Located, threshold: float = HALF) -> float:
    """F1 of the boxes of a picture; 1 where there are none and none were found.

    The surest first, a found box counts if a gold box of its name, not yet taken, overlaps it by
    the threshold at least.
    """
    boxes = len(found.names) + len(gold.names)
    if not boxes:
        return 1.0
    same = np.array(found.names, dtype=object)[:, None] == np.array(gold.names, dtype=object)[None]
    table = np.where(same, overlaps(found.corners, gold.corners), -1.0)  # (n, m)
    hits = 0
    for row in np.argsort(-found.scores, kind="stable"):
        if table.shape[1] and table[row].max() >= threshold:
            table[:, int(table[row].argmax())] = -1.0
            hits += 1
    return 2 * hits / boxes


def detection_metrics(
    found: Sequence[Located], gold: Sequence[Located]
) -> tuple[list[RowMetric], list[str]]:
    """Metrics of pictures, resampled by picture, and notes on what is missing.

    Without pycocotools there is no average precision; the note says so.
    """
    f1 = [picture_f1(one, other) for one, other in zip(found, gold, strict=True)]
    metrics = [mean_metric("f1_50", f1, "boxes of the right name at IoU 0.5")]
    try:
        coco = CocoBoxes(found, gold)
    except ModuleNotFoundError as error:
        note = f"mAP and AP50 left out: {error}; {INSTALL}"
        logger.warning("%s", note)
        return metrics, [note]
    metrics = [coco.metric("mAP"), coco.metric("AP50", first=True), *metrics]
    if 1 < len(coco.names) <= MANY_NAMES:
        metrics += [coco.metric(f"AP50 {name}", True, k) for k, name in enumerate(coco.names)]
    return metrics, []


class CocoBoxes:
    """Average precision over the names that occur in gold boxes, by pycocotools.

    Raises ModuleNotFoundError without it.
    """

    def __init__(self, found: Sequence[Located], gold: Sequence[Located]) -> None:
        self.names = sorted({name for one in gold for name in one.names})
        self._found, self._gold = found, gold
        self._tables: dict[bytes, Floats] = {}
        everything = np.arange(len(gold))
        self._matches = self._match(self._run(everything), len(gold))

    def metric(self, name: str, first: bool = False, only: int | None = None) -> RowMetric:
        """The mean over all thresholds or the first one, and over all names or one of them."""
        kept = slice(0, 1) if first else slice(None)
        columns = range(len(self.names)) if only is None else [only]

        def of_counts(counts: Floats) -> Floats:
            tables = [self._matches[k].precision(counts, kept) for k in columns]
            return _mean(np.stack(tables), axis=0)

        def of_rows(rows: NDArray[np.int64]) -> float:
            table = self._library_table(rows)[kept][:, columns]
            return float(table.mean()) if (table := table[table > -1]).size else float("nan")

        draws = DRAWS if sum(self._matches[k].hits.shape[1] for k in columns) < MANY_BOXES else None
        every = np.ones(len(self._gold), dtype=bool)
        source = f"{LIBRARY}, IoU {'0.5' if first else '0.5 to 0.95'}"
        return RowMetric(
            name, of_counts, every, source=source, draws=draws or FEWER_DRAWS, of_rows=of_rows
        )

    def _library_table(self, rows: NDArray[np.int64]) -> Floats:
        """(T, K) average precision of the rows, -1 for a name without gold boxes."""
        key = np.asarray(rows, dtype=np.int64).tobytes()
        if key not in self._tables:
            run = self._run(rows)
            with contextlib.redirect_stdout(io.StringIO()):
                run.accumulate()
            self._tables[key] = run.eval["precision"][:, :, :, 0, 0].mean(axis=1)
        return self._tables[key]

    def _run(self, rows: NDArray[np.int64]) -> Any:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        numbers = {name: k + 1 for k, name in enumerate(self.names)}

        def table(pictures: Sequence[Located]) -> Any:
            coco = COCO()
            boxes = [
                _annotation(image, numbers[name], corners, score)
                for image, row in enumerate(rows)
                for corners, name, score in zip(
                    pictures[row].corners.tolist(),
                    pictures[row].names,
                    pictures[row].scores.tolist(),
                    strict=True,
                )
                if name in numbers
            ]
            coco.dataset = {
                "images": [{"id": image} for image in range(len(rows))],
                "categories": [{"id": k, "name": name} for name, k in numbers.items()],
                "annotations": [{"id": place + 1, **box} for place, box in enumerate(boxes)],
            }
            coco.createIndex()
            return coco

        with contextlib.redirect_stdout(io.StringIO()):  # the library reports every step
            run = COCOeval(table(self._gold), table(self._found), "bbox")
            run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
            run.params.maxDets = [MAX_FOUND]
            run.evaluate()
        return run

    def _match(self, run: Any, pictures: int) -> list["_Matches"]:
        """What the library matched, name by name."""
        matches = []
        for k in range(len(self.names)):
            parts = [e for e in run.evalImgs[k * pictures : (k + 1) * pictures] if e is not None]
            golds = np.zeros(pictures)
            for part in parts:
                golds[part["image_id"]] = len(part["gtIds"])
            thresholds = len(run.params.iouThrs)
            hits = [np.asarray(part["dtMatches"]) > 0 for part in parts]
            scores = [np.asarray(part["dtScores"], dtype=np.float64) for part in parts]
            owners = [np.full(len(s), p["image_id"]) for s, p in zip(scores, parts, strict=True)]
            joined = np.concatenate([np.zeros((thresholds, 0), dtype=bool), *hits], axis=1)
            order = np.argsort(-np.concatenate([np.zeros(0), *scores]), kind="mergesort")
            owner = np.concatenate([np.zeros(0, dtype=np.int64), *owners])[order]
            matches.append(_Matches(joined[:, order], owner, golds, run.params.recThrs))
        return matches


@dataclass(frozen=True)
class _Matches:
    """Found boxes of a name, the surest first.

    hits: (T, D) whether a gold box was matched.  owner: (D,) picture.  golds: (N,) gold boxes of
    each picture.  recalls: at which precision is averaged.
    """

    hits: NDArray[np.bool_]
    owner: NDArray[np.int64]
    golds: Floats
    recalls: Floats

    def precision(self, counts: Floats, kept: slice) -> Floats:
        """(R,) average precision over the kept thresholds, NaN without gold boxes."""
        weights = counts[:, self.owner]  # (R, D)
        total = weights.cumsum(axis=1)
        golds = counts @ self.golds  # (R,)
        tables = [self._at(weights * hits, total, golds) for hits in self.hits[kept]]
        mean = np.mean(tables, axis=0)
        return np.where(golds > 0, mean, np.nan)

    def _at(self, weighted: Floats, total: Floats, golds: Floats) -> Floats:
        right = weighted.cumsum(axis=1)  # (R, D)
        precision = right / (total + np.spacing(1))
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = right / np.maximum(golds, 1.0)[:, None]
        # Recall that is not reached has precision 0.
        best = np.concatenate([best, np.zeros((len(best), 1))], axis=1)
        places = [np.searchsorted(row, self.recalls, side="left") for row in recall]
        return np.array([row[place].mean() for row, place in zip(best, places, strict=True)])


def _annotation(image: int, category: int, corners: list[float], score: float) -> dict[str, Any]:
    x0, y0, x1, y1 = corners
    width, height = x1 - x0, y1 - y0
    return {
        "image_id": image,
        "category_id": category,
        "bbox": [x0, y0, width, height],
        "area": width * height,
        "iscrowd": 0,
        "score": score,
    }


def _mean(values: Floats, axis: int) -> Floats:
    """The mean of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=axis) / known.sum(axis=axis)
    return np.asarray(mean)
