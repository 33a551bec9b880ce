"""Annotations in the form of Pascal VOC: an XML file for each picture."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from biomedgpt_fairseq.text.box_text import Corners
from data_utils.tables import read_xml

_SIDES = ("xmin", "ymin", "xmax", "ymax")


class Annotation(NamedTuple):
    """File name of a picture, as the annotation has it ("" if it has none), and its objects: a name
    and the corners x0, y0, x1, y1 in pixels from 0, of which x1 and y1 lie behind the object.
    """

    picture: str
    objects: list[tuple[str, Corners]]


def read_annotation(path: Path) -> Annotation:
    """annotation/filename and annotation/object/{name, bndbox/{xmin, ymin, xmax, ymax}}.

    Raises ValueError that names the file for anything else.
    """
    root = read_xml(path)
    if root.tag != "annotation":
        raise ValueError(f"{path}: expected <annotation>, found <{root.tag}>")
    objects = []
    for number, item in enumerate(root.iterfind("object"), start=1):
        texts = [item.findtext(f"bndbox/{side}", "") for side in _SIDES]
        name = item.findtext("name", "").strip()
        try:
            x0, y0, x1, y1 = (float(text) for text in texts)
        except ValueError:
            raise ValueError(
                f"{path}: object {number}: expected numbers in {', '.join(_SIDES)}, found {texts}"
            ) from None
        if not name:
            raise ValueError(f"{path}: object {number} has no name")
        # In files: from 1, with the last pixel.  Objects that are one pixel wide or high are slips.
        objects.append((name, (x0 - 1, y0 - 1, x1 - (x1 == x0), y1 - (y1 == y0))))
    return Annotation(root.findtext("filename", "").strip(), objects)
