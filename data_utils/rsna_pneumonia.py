"""RSNA pneumonia detection challenge -> classification of chest x-rays.

Source: a folder with stage_2_train_labels.csv (patientId, Target, a row for each box), or with
--detailed stage_2_detailed_class_info.csv (patientId, class), and the pictures as PNG or JPEG files
patientId.png in a folder inside it. The challenge's DICOM files must be converted before.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data_utils.converter import Converter, Items
from data_utils.layouts import IMAGE_CLASSIFY, classified_image
from data_utils.tables import read_csv
from data_utils.writer import RejectedItem

CLASSES = ("no pneumonia", "pneumonia")
DETAILED = ("normal", "no lung opacity, not normal", "lung opacity")
_TARGETS = dict(zip("01", CLASSES, strict=True))
_DETAILED_NAMES = {
    "Normal": DETAILED[0],
    "No Lung Opacity / Not Normal": DETAILED[1],
    "Lung Opacity": DETAILED[2],
}


def read(args: argparse.Namespace) -> Items:
    """One item for each patient, who has one picture."""
    name = "stage_2_detailed_class_info.csv" if args.detailed else "stage_2_train_labels.csv"
    column, texts = ("class", _DETAILED_NAMES) if args.detailed else ("Target", _TARGETS)
    rows = read_csv(args.source / name, ("patientId", column))
    found = {row["patientId"]: row[column] for row in rows}
    pictures = {path.stem: path for path in find_files(args.source, (".png", ".jpg", ".jpeg"))}
    scans = {path.stem for path in find_files(args.source, (".dcm",))}
    for patient, value in found.items():
        if value not in texts:
            yield RejectedItem(patient, "unknown class")
        elif patient in pictures:
            image = pictures[patient]
            yield classified_image(image, texts[value], classes(args), group=patient)
        else:
            reason = "DICOM, to be converted to PNG" if patient in scans else "no such picture"
            yield RejectedItem(patient, reason)


def find_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Files below the folder with one of these endings, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)


def classes(args: argparse.Namespace) -> tuple[str, ...]:
    """The two classes of the challenge, or the three detailed ones."""
    return DETAILED if args.detailed else CLASSES


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detailed", action="store_true", help="three classes instead of two")


CONVERTER = Converter("rsna_pneumonia", __doc__, IMAGE_CLASSIFY, read, _add_arguments, classes)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
