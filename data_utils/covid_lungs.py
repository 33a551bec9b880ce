"""COVID-19 image data collection -> detection of both lungs on chest x-rays.

Source: a folder with annotations/annotations.json (COCO: images, categories, and annotations whose
bbox is x, y, width, height) and the pictures in its folder images. Splits and --licenses: as for
the captions of the same pictures, data_utils.covid_chestxray.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from typing import Any

from biomedgpt_fairseq.text.box_text import NamedBox
from data_utils.box_rows import DETECTION, detected
from data_utils.converter import Converter, Items
from data_utils.covid_chestxray import add_licenses_argument, read_splits
from data_utils.tables import check_rows, inside, read_json
from data_utils.writer import RejectedItem

FIELDS = {
    "images": ("id", "file_name", "width", "height", "metadata"),
    "categories": ("id", "name"),
    "annotations": ("image_id", "category_id", "bbox"),
}
KINDS: dict[str, dict[str, type]] = {
    "images": {"file_name": str, "metadata": dict},
    "categories": {"name": str},
    "annotations": {},
}


def read(args: argparse.Namespace) -> Items:
    """Pictures with their boxes, in the order of the categories."""
    path = args.source / "annotations" / "annotations.json"
    content = read_json(path)
    tables: dict[str, list[dict[str, Any]]] = {}
    for name, fields in FIELDS.items():
        rows = content.get(name) if isinstance(content, dict) else None
        tables[name] = check_rows(rows, fields, path, KINDS[name])
    names = {row["id"]: row["name"] for row in tables["categories"]}
    boxes: dict[object, list[NamedBox]] = defaultdict(list)
    for row in tables["annotations"]:
        try:
            boxes[row["image_id"]].append(_box(row, names))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: annotation {row}: bad category or bbox ({error})") from error
    splits = read_splits(args.source)
    for row in tables["images"]:
        name, facts = row["file_name"], row["metadata"]
        if not re.search(args.licenses, str(facts.get("license", ""))):
            yield RejectedItem(name, "another licence")
        elif splits and name not in splits:
            yield RejectedItem(name, "in no split")
        else:
            yield from detected(
                f"covid_{name.rsplit('.', 1)[0]}",
                inside(args.source / "images", name),
                sorted(boxes[row["id"]], key=lambda box: box.tag),
                (row["width"], row["height"]),
                splits.get(name, ""),
                str(facts.get("patientid", "")),
            )


def _box(row: dict[str, Any], names: dict[Any, str]) -> NamedBox:
    x, y, width, height = map(float, row["bbox"])
    category = row["category_id"]
    return NamedBox((x, y, x + width, y + height), str(category), names[category])


CONVERTER = Converter("covid_lungs", __doc__, DETECTION, read, add_licenses_argument)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
