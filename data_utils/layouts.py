"""The rows that each task reads, and the source items that become rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from biomedgpt_fairseq.data.tsv_writer import clean_field
from biomedgpt_fairseq.text.normalize import remove_punctuation

IMAGE = "image"
LABELS = "labels"  # boxes, in pixels of the picture
REFERENCES = "answers"
CLINICAL = "clinical"
# What stands before the text in a column.
_PREFIXES = {REFERENCES: "1|!+", CLINICAL: "clinical:"}
_SEPARATOR = "&&"
NEUTRAL, ENTAILMENT, CONTRADICTION = "0", "1", "2"


@dataclass(frozen=True)
class Layout:
    """Columns of a task.

    same: rows that agree in these columns are the same row when splits are compared; the picture
    counts by its pixels. answer: column of the closed answer set, if the task has one. balance:
    column whose values are spread evenly when splits are drawn. optional: cells that may be empty.
    """

    task: str
    columns: tuple[str, ...]
    same: tuple[str, ...]
    answer: str = ""
    balance: str = ""
    optional: tuple[str, ...] = ()

    @property
    def has_image(self) -> bool:
        """Whether the rows carry a picture."""
        return IMAGE in self.columns

    @property
    def identity(self) -> str:
        """Column of the row's id, which no two rows of a split share; "" without one."""
        return self.columns[0] if self.columns[0] in ("question_id", "id") else ""


VQA = Layout(
    "vqa_gen",
    ("question_id", "image_id", "question", REFERENCES, "objects", IMAGE),
    same=(IMAGE,),
    answer=REFERENCES,
    optional=("objects",),
)
CAPTION = Layout(
    "caption", ("id", "image_id", "caption", "objects", IMAGE), (IMAGE,), optional=("objects",)
)
IMAGE_CLASSIFY = Layout(
    "image_classify",
    (IMAGE, "label_index", "label"),
    same=(IMAGE,),
    answer="label",
    balance="label",
    optional=("label_index",),
)
NLI = Layout(
    "mnli",
    ("sentence1", "sentence2", "label", CLINICAL),
    same=("sentence1", "sentence2"),
    balance="label",
)
SUMMARY = Layout("gigaword", ("source", "target"), same=("source",))
TEXT_CLASSIFY = Layout(
    "text_classify",
    ("text1", "text2", "label"),
    same=("text1", "text2"),
    answer="label",
    balance="label",
    optional=("text2",),
)
TEXT = Layout("unify_task", ("id", "text"), same=("text",))
PICTURE = Layout("unify_task", ("id", IMAGE), same=(IMAGE,))


@dataclass(frozen=True)
class Record:
    """One source item. `split` is empty where it is to be drawn; a `group` is never torn apart.

    cells: values as the source has them, which `as_texts` makes into the texts of the row.
    """

    item: str
    cells: Mapping[str, Any] = field(hash=False)
    split: str = ""
    group: str = ""
    image: Path | None = None


def vqa(
    item: object,
    image: Path,
    texts: tuple[object, object],
    split: str = "",
    objects: object = "",
    image_id: str = "",
) -> Record:
    """A question about a picture. texts: question and answer, the answer in its final form."""
    cells = {
        "question_id": item,
        "image_id": image_id or image.name,
        "question": texts[0],
        REFERENCES: texts[1],
        "objects": objects,
    }
    return Record(str(item), cells, split, image=image)


def caption(
    prefix: str, image: Path, text: object, split: str = "", group: str = "", image_id: str = ""
) -> Record:
    """A picture with its caption. The row id is the prefix and the picture's name, or its id."""
    name = image_id or image.name
    item = f"{prefix}_{name.rsplit('.', 1)[0].replace('/', '_')}"
    cells = {"id": item, "image_id": name, "caption": text, "objects": ""}
    return Record(item, cells, split, group, image)


def classified_image(
    image: Path, label: str, labels: Sequence[str], split: str = "", group: str = ""
) -> Record:
    """A picture with its class; classes outside of `labels` have no index."""
    index = str(labels.index(label)) if label in labels else ""
    return Record(str(image), {"label_index": index, "label": label}, split, group, image)


def inference(item: str, texts: tuple[object, object], label: str, split: str = "") -> Record:
    """A premise and a hypothesis with one of the labels 0, 1, 2."""
    cells = {"sentence1": texts[0], "sentence2": texts[1], "label": label}
    return Record(item, {**cells, CLINICAL: texts[0]}, split)


def summary(item: str, source: object, target: object, split: str = "", group: str = "") -> Record:
    """A text and its summary."""
    return Record(item, {"source": source, "target": target}, split, group)


def classified_text(
    item: str, texts: tuple[object, object], label: object, split: str = "", group: str = ""
) -> Record:
    """One text, or two, with a class; the second may be empty."""
    return Record(item, {"text1": texts[0], "text2": texts[1], "label": label}, split, group)


def plain_text(item: str, text: object, split: str = "", group: str = "") -> Record:
    """A text for pretraining; its row id is made by the program."""
    return Record(item, {"text": text}, split, group)


def as_texts(record: Record, layout: Layout) -> tuple[Record, str]:
    """The record with the texts of its row, and why it gives none ("" when it does).

    Numbers become text as they are printed, null is an empty text, white space of any kind and
    length is one space.
    """
    cells = {}
    for column, value in record.cells.items():
        fault = _value_fault(value)
        if fault:
            return record, f"{column}: {fault}"
        text = "" if value is None else clean_field(str(value))
        if not text and column not in layout.optional:
            return record, f"empty {column}"
        cells[column] = _PREFIXES.get(column, "") + text
    if _SEPARATOR in cells.get(REFERENCES, ""):
        return record, "the answer holds &&"
    caption_words = remove_punctuation(cells.get("caption", "words"))
    if _SEPARATOR in cells.get("caption", ""):
        return record, "the caption holds &&"
    if not caption_words.strip():
        return record, "caption: no words"
    return replace(record, cells=cells), ""


def _value_fault(value: object) -> str:
    """Why a value is no text; "" when it is, or a number, or nothing."""
    if isinstance(value, str):
        if "\0" in value:
            return "a NUL character"
        # JSON can say it, UTF-8 cannot.
        is_broken = any("\ud800" <= character <= "\udfff" for character in value)
        return "half of a surrogate pair" if is_broken else ""
    if isinstance(value, bool):
        return "true or false, not text"
    if value is None or isinstance(value, int):
        return ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else "a number that is not finite"
    return "a list or an object, not text"
