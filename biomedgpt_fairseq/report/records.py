"""Rows of the output files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from biomedgpt_fairseq.report.model import Row
from biomedgpt_fairseq.text.normalize import remove_punctuation


def prediction_line(row: Row) -> dict[str, Any]:
    """A line of predictions.jsonl."""
    scores = {"scores": dict(row.scores)} if row.scores else {}
    return {
        "id": row.row_id,
        "answer": row.answer,
        "score": row.score,
        "gold": row.gold,
        "correct": row.value,
        **scores,
    }


def _vqa_record(row: Row) -> dict[str, Any]:
    # Original: ids had to be numbers; here: other ids are kept as text.
    numeric = row.row_id.isdecimal()
    return {"question_id": int(row.row_id) if numeric else row.row_id, "answer": row.answer}


_RELEASED: dict[str, Callable[[Row], dict[str, Any]]] = {
    "vqa_gen": _vqa_record,
    "caption": lambda row: {"image_id": row.row_id, "caption": remove_punctuation(row.answer)},
    "image_classify": lambda row: {"uniq_id": row.row_id, "answer": row.answer},
    "mnli": lambda row: {"hyp": row.answer, "ref": dict(row.references)},
    "gigaword": lambda row: {"hyp": row.answer, "ref": row.gold},
}


def released_records(task: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The list that the original's evaluation wrote as `{gen_subset}_predict.json`.

    A task that the original did not have gets the lines of predictions.jsonl.
    """
    record = _RELEASED.get(task, prediction_line)
    return [record(row) for row in rows]
