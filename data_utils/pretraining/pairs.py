"""Pictures with questions, captions or boxes -> the eight columns of the main pretraining file.

Boxes give a row for each name that occurs once in its picture: where is it?
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from biomedgpt_fairseq.text.box_text import format_corners, parse_named_boxes
from data_utils import (
    covid_chestxray,
    covid_lungs,
    iu_xray,
    path_vqa,
    peir_gross,
    pmc_vqa,
    roco,
    slake,
    vqa_rad,
)
from data_utils.box_rows import reduced
from data_utils.converter import add_image_arguments
from data_utils.layouts import LABELS, REFERENCES, Record
from data_utils.pretraining import deep_lesion, medicat
from data_utils.pretraining.program import Kind, from_converter
from data_utils.pretraining.stored import Stored, store
from data_utils.writer import RejectedItem

COLUMNS = ("id", "image", "caption", "question", "references", "objects", "dataset", "type")


def make_rows(record: Record, args: argparse.Namespace) -> list[list[str]]:
    """A row of type qa or caption, or one of type visual_grounding for each single box."""
    picture, cells = store(record, args), record.cells
    name = f"{args.corpus}_{record.item}"
    if LABELS in cells:
        return _region_rows(record, picture, name, args.corpus)
    if REFERENCES in cells:
        texts, kind = ["", cells["question"], cells[REFERENCES]], "qa"
    else:
        texts, kind = [cells["caption"], "", ""], "caption"
    return [[name, picture.cell, *texts, cells["objects"], args.corpus, kind]]


def _region_rows(record: Record, picture: Stored, name: str, corpus: str) -> list[list[str]]:
    labels = reduced(record.cells[LABELS], picture.size, picture.stored_size)
    boxes = parse_named_boxes(labels)
    counts = Counter(box.name for box in boxes)
    single = [box for box in boxes if counts[box.name] == 1]
    if not single:
        raise RejectedItem(record.item, "no name that occurs once")
    tail = ["", corpus, "visual_grounding"]
    return [
        [f"{name}_{box.name}", picture.cell, box.name, "", format_corners(box.corners), *tail]
        for box in single
    ]


_CONVERTERS = (
    *(vqa_rad.CONVERTER, slake.CONVERTER, path_vqa.CONVERTER, pmc_vqa.CONVERTER),
    *(iu_xray.CONVERTER, peir_gross.CONVERTER, roco.CONVERTER, covid_chestxray.CONVERTER),
    covid_lungs.CONVERTER,
)
KIND = Kind(
    name="pairs",
    about=__doc__ or "",
    columns=COLUMNS,
    sources={
        **{converter.name: from_converter(converter) for converter in _CONVERTERS},
        "medicat": medicat.SOURCE,
        "deep_lesion": deep_lesion.SOURCE,
    },
    make_rows=make_rows,
    add_arguments=add_image_arguments,
)

if __name__ == "__main__":
    sys.exit(KIND.main())
