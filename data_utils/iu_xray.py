"""IU X-ray (Open-i) -> captions of chest x-rays.

Source, either of:
- train_images.tsv and test_images.tsv (file name, tab, caption) and iu_xray_images/;
- annotation.json with the splits train, val and test (fields id, report, image_path: the pictures
  of one study, each of which becomes a row) and images/.
Pictures of one study stay in one split.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from data_utils.captions import read_caption_tables
from data_utils.converter import Converter
from data_utils.layouts import CAPTION, Record, caption
from data_utils.splits import split_name
from data_utils.tables import check_rows, inside, read_json

PREFIX = "200"
FIELDS = ("id", "report", "image_path")
STUDY = r"CXR\d+"


def read(args: argparse.Namespace) -> Iterator[Record]:
    """Captions of all pictures."""
    annotation: Path = args.source / "annotation.json"
    if not annotation.is_file():
        yield from read_caption_tables(args.source, ("*images*/",), PREFIX, STUDY)
        return
    splits = read_json(annotation)
    if not isinstance(splits, dict):
        raise ValueError(f"{annotation}: expected an object of splits")
    for name, rows in splits.items():
        for row in check_rows(rows, FIELDS, annotation, {"id": str, "image_path": list}):
            for file in row["image_path"]:
                image = inside(args.source / "images", file)
                yield caption(PREFIX, image, row["report"], split_name(name), row["id"], file)


CONVERTER = Converter("iu_xray", __doc__, CAPTION, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
