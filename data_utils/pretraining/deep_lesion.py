"""DeepLesion: lesions on key slices of CT.

Source: a folder with DL_info.csv (File_name, Patient_index, Bounding_boxes, Coarse_lesion_type and
more; a row for each lesion) and the key slices as 8-bit pictures, Key_slices/FILE_NAME. Types:
1 bone, 2 abdomen, 3 mediastinum, 4 liver, 5 lung, 6 kidney, 7 soft tissue, 8 pelvis. Lesions
without a type (-1) are rejected; as those of the published training part have none, its parts
(Train_Val_Test) are not followed, and validation is drawn by patient.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from biomedgpt_fairseq.text.box_text import NamedBox, parse_corners
from data_utils.box_rows import DETECTION, detected
from data_utils.layouts import Record
from data_utils.pretraining.program import Source
from data_utils.pretraining.stored import size_of_file
from data_utils.tables import inside, read_csv
from data_utils.writer import RejectedItem

COLUMNS = ("File_name", "Patient_index", "Bounding_boxes", "Coarse_lesion_type")
TYPES = dict(
    enumerate(
        ("bone", "abdomen", "mediastinum", "liver", "lung", "kidney", "soft tissue", "pelvis"),
        start=1,
    )
)
_UNKNOWN = "-1"


def read(path: Path, args: argparse.Namespace) -> Iterator[Record | RejectedItem]:
    """Slices in the order of their first lesion."""
    slices: dict[str, list[dict[str, str]]] = {}
    for row in read_csv(path / "DL_info.csv", COLUMNS):
        slices.setdefault(row["File_name"], []).append(row)
    for name, rows in slices.items():
        boxes = []
        for number, row in enumerate(rows, start=1):
            if row["Coarse_lesion_type"].strip() == _UNKNOWN:
                yield RejectedItem(f"{name}, lesion {number}", "no type")
            else:
                boxes.append(_box(row, f"{path / 'DL_info.csv'}: {name}"))
        image = inside(path / "Key_slices", name)
        try:
            size = size_of_file(image)
        except RejectedItem as rejected:
            yield rejected
            continue
        yield from detected(name, image, boxes, size, group=rows[0]["Patient_index"])


def _box(row: dict[str, str], where: str) -> NamedBox:
    try:
        tag = int(row["Coarse_lesion_type"])
        return NamedBox(parse_corners(row["Bounding_boxes"]), str(tag), f"{TYPES[tag]} lesion")
    except (KeyError, ValueError) as error:
        raise ValueError(f"{where}: bad Coarse_lesion_type or Bounding_boxes ({error})") from error


SOURCE = Source(__doc__ or "", DETECTION, read)
