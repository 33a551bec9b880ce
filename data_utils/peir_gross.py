"""PEIR Gross -> captions of gross pathology photographs.

Source: train_images.tsv and test_images.tsv (file name, tab, caption) and peir_gross_images/.
The validation split is drawn from the training table by --valid-share and --seed; the published one
followed the order of a folder's listing, which cannot be repeated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from data_utils.captions import read_caption_tables
from data_utils.converter import Converter
from data_utils.layouts import CAPTION, Record

PREFIX = "3"


def read(args: argparse.Namespace) -> Iterator[Record]:
    """Captions of all pictures."""
    return read_caption_tables(args.source, ("*images*/",), PREFIX, "")


CONVERTER = Converter("peir_gross", __doc__, CAPTION, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
