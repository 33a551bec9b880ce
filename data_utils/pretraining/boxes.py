"""Pictures with boxes -> id, image, boxes: for detection."""

from __future__ import annotations

import argparse
import sys

from data_utils import bccd, covid_lungs
from data_utils.box_rows import reduced
from data_utils.converter import add_image_arguments
from data_utils.layouts import LABELS, Record
from data_utils.pretraining import ddr, deep_lesion
from data_utils.pretraining.program import Kind, from_converter
from data_utils.pretraining.stored import store


def make_rows(record: Record, args: argparse.Namespace) -> list[list[str]]:
    """The picture with all its boxes."""
    picture = store(record, args)
    labels = reduced(record.cells[LABELS], picture.size, picture.stored_size)
    return [[record.item, picture.cell, labels]]


KIND = Kind(
    name="boxes",
    about=__doc__ or "",
    columns=("id", "image", "boxes"),
    sources={
        "deep_lesion": deep_lesion.SOURCE,
        "ddr": ddr.SOURCE,
        "bccd": from_converter(bccd.CONVERTER),
        "covid_lungs": from_converter(covid_lungs.CONVERTER),
    },
    make_rows=make_rows,
    add_arguments=add_image_arguments,
)

if __name__ == "__main__":
    sys.exit(KIND.main())
