"""The rows that each task reads, and the source items that become rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from biomedgpt_fairseq.data.tsv_writer import clean_field

IMAGE = "image"
REFERENCES = "answers"
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
    ("sentence1", "sentence2", "label", "clinical"),
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


@dataclass(frozen=True)
class Record:
    """One source item. `split` is empty where it is to be drawn; a `group` is never torn apart."""

    item: str
    cells: Mapping[str, str] = field(hash=False)
    split: str = ""
    group: str = ""
    image: Path | None = None


def vqa(
    item: str,
    image: Path,
    texts: tuple[str, str],
    split: str = "",
    objects: str = "",
    image_id: str = "",
) -> Record:
    """A question about a picture. texts: question and answer, the answer in its final form."""
    question, answer = (clean_field(text) for text in texts)
    cells = {
        "question_id": item,
        "image_id": image_id or image.name,
        "question": question,
        REFERENCES: f"1|!+{answer}" if answer else "",
        "objects": objects,
    }
    return Record(item, cells, split, image=image)


def caption(
    prefix: str, image: Path, text: str, split: str = "", group: str = "", image_id: str = ""
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


def inference(item: str, texts: tuple[str, str], label: str, split: str = "") -> Record:
    """A premise and a hypothesis with one of the labels 0, 1, 2."""
    first, second = (clean_field(text) for text in texts)
    cells = {"sentence1": first, "sentence2": second, "label": label}
    return Record(item, cells | {"clinical": f"clinical:{first}"}, split)


def summary(item: str, source: str, target: str, split: str = "", group: str = "") -> Record:
    """A text and its summary."""
    return Record(item, {"source": source, "target": target}, split, group)


def classified_text(
    item: str, texts: tuple[str, str], label: str, split: str = "", group: str = ""
) -> Record:
    """One text, or two, with a class; the second may be empty."""
    return Record(item, {"text1": texts[0], "text2": texts[1], "label": label}, split, group)


def find_fault(record: Record, layout: Layout) -> str:
    """Why the record gives no row; "" when it does."""
    for column, cell in record.cells.items():
        if not cell and column not in layout.optional:
            return f"empty {column}"
    if REFERENCES in record.cells and "&&" in record.cells[REFERENCES]:
        return "the answer holds &&"
    if "&&" in record.cells.get("caption", ""):
        return "the caption holds &&"
    return ""
