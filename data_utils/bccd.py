"""BCCD -> detection of blood cells: red cells, white cells and platelets on smears.

Source: a folder in the layout of Pascal VOC: JPEGImages, Annotations with an XML file for each
picture, and ImageSets/Main with the names of each split. Corners are pixels from 1, both inside.
The boxes of a picture are written from top to bottom, an order that mirror images keep: as
annotated, each picture has an order of its own, and nothing tells which of its cells comes next.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from biomedgpt_fairseq.text.box_text import NamedBox
from data_utils.box_rows import DETECTION, detected
from data_utils.converter import Converter, Items
from data_utils.splits import split_name
from data_utils.tables import inside, open_text, read_xml
from data_utils.writer import RejectedItem

NAMES = ("RBC", "WBC", "Platelets")
SPLITS = ("train", "val", "test")


def read(args: argparse.Namespace) -> Items:
    """Pictures of the three splits."""
    for split in SPLITS:
        for name in _listed(args.source / "ImageSets" / "Main" / f"{split}.txt"):
            root = read_xml(inside(args.source / "Annotations", f"{name}.xml"))
            image = inside(args.source / "JPEGImages", f"{name}.jpg")
            try:
                size = int(_text(root, "size/width")), int(_text(root, "size/height"))
                boxes = sorted(map(_box, root.iter("object")), key=lambda box: box.corners[1])
            except ValueError as error:
                yield RejectedItem(name, f"annotation: {error}")
                continue
            yield from detected(f"bccd_{name}", image, boxes, size, split_name(split))


def _listed(table: Path) -> Iterator[str]:
    with open_text(table) as stream:
        yield from (line.split()[0] for line in stream if line.strip())


def _box(found: ElementTree.Element) -> NamedBox:
    name = _text(found, "name")
    if name not in NAMES:
        raise ValueError("an unknown name of an object")
    x0, y0, x1, y1 = (
        float(_text(found, f"bndbox/{corner}")) for corner in ("xmin", "ymin", "xmax", "ymax")
    )
    # From 1 and with its last pixel, to from 0 and behind it; the degenerate ones stay so.
    return NamedBox(
        (x0 - 1, y0 - 1, x1 - (x1 == x0), y1 - (y1 == y0)), str(NAMES.index(name)), name
    )


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if not text:
        raise ValueError(f"no {path}")
    return text


CONVERTER = Converter("bccd", __doc__, DETECTION, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
