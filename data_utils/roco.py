"""ROCO -> captions of figures of articles.

Source: a folder with SPLIT/KIND/captions.txt (name, tab, caption) and SPLIT/KIND/images/NAME.jpg
for the splits train, validation and test and the kinds radiology and non-radiology.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from data_utils.converter import Converter
from data_utils.layouts import CAPTION, Record, caption
from data_utils.splits import split_name
from data_utils.tables import find_file, inside, read_pairs

PREFIX = "1500"
SPLITS = ("train", "validation", "test")


def read(args: argparse.Namespace) -> Iterator[Record]:
    """Captions of the wanted kinds."""
    for name in SPLITS:
        for kind in args.kinds.split(","):
            table = find_file(args.source, f"{name}/{kind}/captions.txt")
            for file, text in read_pairs(table):
                image = inside(table.parent / "images", f"{file}.jpg")
                yield caption(PREFIX, image, text, split_name(name))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kinds", default="radiology", help="radiology (default), non-radiology or both, by comma"
    )


CONVERTER = Converter("roco", __doc__, CAPTION, read, _add_arguments)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
