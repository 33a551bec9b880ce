"""OIA-DDR: lesions of diabetic retinopathy on photographs of the fundus.

Source: the folder DDR-dataset, with Pascal VOC annotations lesion_detection/SPLIT/NAME.xml for the
splits train, valid and test, and a picture NAME.jpg for each anywhere below. Lesions are EX hard
exudates, HE haemorrhages, MA microaneurysms, SE soft exudates.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from biomedgpt_fairseq.text.box_text import NamedBox
from data_utils.box_rows import DETECTION, detected
from data_utils.layouts import Record
from data_utils.pascal_voc import read_annotation
from data_utils.pretraining.program import Source
from data_utils.pretraining.stored import size_of_file
from data_utils.splits import split_name
from data_utils.writer import RejectedItem

NAMES = {
    "EX": "hard exudate",
    "HE": "haemorrhage",
    "MA": "microaneurysm",
    "SE": "soft exudate",
}


def find_annotations(place: Path) -> list[Path]:
    """Annotations of all splits."""
    found = sorted(place.glob("lesion_detection/*/*.xml"))
    if not found:
        raise FileNotFoundError(f"{place}: expected lesion_detection/SPLIT/NAME.xml, found none")
    return found


def read(path: Path, args: argparse.Namespace) -> Iterator[Record | RejectedItem]:
    """One picture."""
    image = _pictures(args.source).get(path.stem)
    if image is None:
        yield RejectedItem(path.name, "no picture of this name")
        return
    try:
        size = size_of_file(image)
    except RejectedItem as rejected:
        yield rejected
        return
    boxes = []
    for number, (name, corners) in enumerate(read_annotation(path).objects, start=1):
        code = name.upper()
        if code in NAMES:
            boxes.append(NamedBox(corners, str(list(NAMES).index(code)), NAMES[code]))
        else:
            yield RejectedItem(f"{path.name}, object {number}", f"unknown lesion {name}")
    yield from detected(path.stem, image, boxes, size, split_name(path.parent.name))


@cache
def _pictures(place: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(place.rglob("*.jpg"))}


SOURCE = Source(__doc__ or "", DETECTION, read, find_annotations)
