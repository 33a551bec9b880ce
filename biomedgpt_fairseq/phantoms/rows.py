"""Rows of the tasks' TSV files, in the column layouts of docs/data.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image

from biomedgpt_fairseq.phantoms.case import (
    DEFAULT_CLASSES,
    DEFAULT_SCENE,
    PIXEL_STREAM,
    SCENE_STREAM,
    WISH_STREAM,
    balanced_choice,
    complete,
    draw_class_scene,
    draw_question_scene,
    make_case,
    png_base64,
    row_rng,
    word,
)
from biomedgpt_fairseq.phantoms.findings import CATEGORY
from biomedgpt_fairseq.phantoms.modalities import MODALITIES
from biomedgpt_fairseq.phantoms.question_wordings import WordingSet
from biomedgpt_fairseq.phantoms.scene import Box, SceneOptions, draw_scene, render
from biomedgpt_fairseq.phantoms.wording import CLAIMS, describe, draw_statement_pair

LabelSet = Literal["finding", "modality"]
LABEL_SETS: dict[LabelSet, tuple[str, ...]] = {
    "finding": DEFAULT_CLASSES,
    "modality": tuple(modality.name for modality in MODALITIES),
}
MAIN_KINDS = ("caption", "qa", "visual_grounding", "caption", "qa")
INFILL_SIDE = 256  # image infilling takes no other size
_CODE_GRID = 16
_WITH_FINDINGS = SceneOptions(counts=(0.0, 0.5, 0.5))


@dataclass(frozen=True)
class RowOptions:
    """What the rows depend on besides their number."""

    seed: int
    side: int = 64
    labels: LabelSet = "finding"
    num_codes: int = 8192
    wordings: WordingSet = "plain"
    claims: tuple[str, ...] = CLAIMS


RowMaker: TypeAlias = Callable[[RowOptions, int], list[str]]


@dataclass(frozen=True)
class Layout:
    """Columns of a file and the function that makes row number n."""

    columns: tuple[str, ...]
    make_row: RowMaker


def make_classify_row(options: RowOptions, row: int) -> list[str]:
    """Image, class index, class name."""
    if options.labels == "finding":
        scene = draw_class_scene(options.seed, row)
        label = scene.label
    else:
        scene = draw_scene(row_rng(options.seed, row, SCENE_STREAM), DEFAULT_SCENE)
        label = scene.modality.name
    image, _ = render(scene, options.side, row_rng(options.seed, row, PIXEL_STREAM))
    return [png_base64(image), str(LABEL_SETS[options.labels].index(label)), label]


def make_vqa_row(options: RowOptions, row: int) -> list[str]:
    """Question id, image id, question, reference, objects (the organ), image."""
    wish, scene = draw_question_scene(options.seed, row, options.wordings)
    image, _ = render(scene, options.side, row_rng(options.seed, row, PIXEL_STREAM))
    question = wish.question
    reference = f"1|!+{question.answer}"
    organ = scene.modality.organ
    return [str(row), f"phantom_{row}", question.text, reference, organ, png_base64(image)]


def make_caption_row(options: RowOptions, row: int) -> list[str]:
    """Unique id, image id, caption, empty objects, image."""
    case = make_case(options.seed, row, options.side)
    return [f"phantom_{row}", str(row), case.caption, "", png_base64(case.image)]


def make_summary_row(options: RowOptions, row: int) -> list[str]:
    """Findings section, impression."""
    scene = draw_scene(row_rng(options.seed, row, SCENE_STREAM), DEFAULT_SCENE)
    _, _, report = word(options.seed, row, scene)
    return [report.findings, report.impression]


def make_nli_row(options: RowOptions, row: int) -> list[str]:
    """Premise, hypothesis, label, "clinical:" + premise."""
    label = balanced_choice(options.seed, row, 3)
    pair = draw_statement_pair(row_rng(options.seed, row, WISH_STREAM), label, options.claims)
    return [pair.premise, pair.hypothesis, str(label), f"clinical:{pair.premise}"]


def make_detection_row(options: RowOptions, row: int) -> list[str]:
    """Id, image, boxes with category number and name."""
    case = make_case(options.seed, row, options.side, _WITH_FINDINGS)
    labels = [
        f"{_corners(box)},{CATEGORY[finding.kind]},{finding.kind}"
        for finding, box in zip(case.scene.findings, case.boxes, strict=True)
    ]
    return [f"phantom_{row}", png_base64(case.image), "&&".join(labels)]


def make_grounding_row(options: RowOptions, row: int) -> list[str]:
    """Id, image, the name of a finding, its box: the text alone does not tell where it is."""
    case = make_case(options.seed, row, options.side, _WITH_FINDINGS)
    asked = int(row_rng(options.seed, row, WISH_STREAM).integers(len(case.boxes)))
    text, box = case.scene.findings[asked].kind, _corners(case.boxes[asked])
    return [f"phantom_{row}", png_base64(case.image), text, box]


def make_pretrain_row(options: RowOptions, row: int) -> list[str]:
    """Id, image, caption, question, references, objects, data set, type of the row."""
    kind = MAIN_KINDS[balanced_choice(options.seed, row, len(MAIN_KINDS))]
    caption = question = reference = ""
    scene = draw_scene(row_rng(options.seed, row, SCENE_STREAM), DEFAULT_SCENE)
    if kind == "qa":
        wish, scene = draw_question_scene(options.seed, row)
        question, reference = wish.question.text, f"1|!+{wish.question.answer}"
    elif kind == "visual_grounding":
        scene = draw_scene(row_rng(options.seed, row, SCENE_STREAM), _WITH_FINDINGS)
    case = complete(options.seed, row, options.side, scene)
    if kind == "caption":
        caption = case.caption
    elif kind == "visual_grounding":
        caption, reference = describe(scene.findings[0]), _corners(case.boxes[0])
    objects = "&&".join([finding.kind for finding in scene.findings] + [scene.modality.organ])
    image = png_base64(case.image)
    return [f"phantom_{row}", image, caption, question, reference, objects, "phantoms", kind]


def make_text_row(options: RowOptions, row: int) -> list[str]:
    """Id, plain text."""
    findings, impression = make_summary_row(options, row)
    return [f"phantom_{row}", f"{findings} impression: {impression}."]


def make_infill_row(options: RowOptions, row: int) -> list[str]:
    """Id, image of 256 pixels, its codes."""
    case = make_case(options.seed, row, INFILL_SIDE)
    codes = brightness_codes(case.image, options.num_codes)
    return [f"phantom_{row}", png_base64(case.image), " ".join(map(str, codes))]


def make_corpus_line(options: RowOptions, row: int) -> str:
    """Texts of one case in one line, for training a vocabulary."""
    scene = draw_scene(row_rng(options.seed, row, SCENE_STREAM), DEFAULT_SCENE)
    caption, questions, report = word(options.seed, row, scene, options.wordings)
    question = questions[row % len(questions)]
    texts = (caption, question.text, question.answer, report.findings, report.impression)
    return " ".join(texts)


def brightness_codes(image: np.ndarray, num_codes: int) -> list[int]:
    """256 stand-in codes in [0, num_codes): the brightness of a 16 x 16 grid, row by row.

    They let image infilling be tried without the image tokenizer, whose codes they do not resemble.
    """
    grey = Image.fromarray(image).convert("L")
    small = np.asarray(grey.resize((_CODE_GRID, _CODE_GRID), Image.Resampling.BOX), dtype=np.int64)
    return [int(code) for code in (small * num_codes // 256).ravel()]


def _corners(box: Sequence[int] | Box) -> str:
    return ",".join(str(corner) for corner in box)


VQA_COLUMNS = ("question_id", "image_id", "question", "reference", "objects", "image")
CAPTION_COLUMNS = ("id", "image_id", "caption", "objects", "image")
PRETRAIN_COLUMNS = (
    "id",
    "image",
    "caption",
    "question",
    "references",
    "objects",
    "dataset",
    "type",
)

LAYOUTS: dict[str, Layout] = {
    "classify": Layout(("image", "label_index", "label"), make_classify_row),
    "vqa": Layout(VQA_COLUMNS, make_vqa_row),
    "caption": Layout(CAPTION_COLUMNS, make_caption_row),
    "summary": Layout(("source", "target"), make_summary_row),
    "nli": Layout(("sentence1", "sentence2", "label", "clinical"), make_nli_row),
    "pretrain": Layout(PRETRAIN_COLUMNS, make_pretrain_row),
    "detection": Layout(("id", "image", "labels"), make_detection_row),
    "grounding": Layout(("id", "image", "text", "box"), make_grounding_row),
    "text": Layout(("id", "text"), make_text_row),
    "infill": Layout(("id", "image", "codes"), make_infill_row),
}
