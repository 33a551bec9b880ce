"""COVID-19 image data collection -> captions of chest x-rays, from their clinical notes.

Source: a folder with metadata.csv (patientid, filename, clinical_notes, folder, license) and the
pictures in the folders it names. Where train_images.txt, val_images.txt and test_images.txt list
file names, these are the splits; otherwise they are drawn by patient. Licences differ by picture:
--licenses takes only those that its expression finds.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from data_utils.converter import Converter, Items
from data_utils.layouts import CAPTION, caption
from data_utils.splits import split_name
from data_utils.tables import inside, open_text, read_csv
from data_utils.writer import RejectedItem

COLUMNS = ("patientid", "filename", "clinical_notes", "folder", "license")
PREFIX = "covid"
SPLITS = ("train", "val", "test")


def read(args: argparse.Namespace) -> Items:
    """Pictures with notes."""
    splits = read_splits(args.source)
    for row in read_csv(args.source / "metadata.csv", COLUMNS):
        name = row["filename"]
        if not re.search(args.licenses, row["license"]):
            yield RejectedItem(name, "another licence")
        elif splits and name not in splits:
            yield RejectedItem(name, "in no split")
        else:
            image = inside(args.source, f"{row['folder']}/{name}")
            split = splits.get(name, "")
            yield caption(PREFIX, image, row["clinical_notes"], split, row["patientid"])


def read_splits(source: Path) -> dict[str, str]:
    """File name -> split, of the lists that there are."""
    splits: dict[str, str] = {}
    for name in SPLITS:
        table = source / f"{name}_images.txt"
        if table.is_file():
            with open_text(table) as stream:
                splits |= {line.strip(): split_name(name) for line in stream if line.strip()}
    return splits


def add_licenses_argument(parser: argparse.ArgumentParser) -> None:
    """The choice of pictures by licence."""
    parser.add_argument("--licenses", default="", help="regular expression, such as ^CC BY(?!-NC)")


CONVERTER = Converter("covid_chestxray", __doc__, CAPTION, read, add_licenses_argument)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
