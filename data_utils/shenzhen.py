"""Shenzhen and Montgomery County chest x-rays -> classification, normal or tuberculosis.

Source: the folder CXR_png of either set, with files such as CHNCXR_0001_0.png or MCUCXR_0104_1.png:
the last digit is the class. Splits are drawn; each picture is of another patient.
"""

from __future__ import annotations

import argparse
import re
import sys

from data_utils.converter import Converter, Items
from data_utils.layouts import IMAGE_CLASSIFY, classified_image
from data_utils.writer import RejectedItem

CLASSES = ("normal", "tuberculosis")
_NAME = re.compile(r"[A-Z]+CXR_\d+_([01])")


def read(args: argparse.Namespace) -> Items:
    """All pictures of the folder."""
    for path in sorted(args.source.rglob("*.png")):
        name = _NAME.fullmatch(path.stem)
        if name is None:
            yield RejectedItem(str(path), "no class in the name")
        else:
            yield classified_image(path, CLASSES[int(name.group(1))], CLASSES)


def _classes(args: argparse.Namespace) -> tuple[str, ...]:
    return CLASSES


CONVERTER = Converter("shenzhen", __doc__, IMAGE_CLASSIFY, read, classes=_classes)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
