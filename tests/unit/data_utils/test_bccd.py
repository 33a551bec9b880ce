"""BCCD: blood cells from annotations in the layout of Pascal VOC."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils import bccd

Cell = tuple[str, int, int, int, int]


@pytest.fixture
def source(tmp_path: Path, draw: Callable[..., Path]) -> Callable[..., Path]:
    """One picture of 8 x 8 pixels in each split, the training one with the given cells."""

    def make(*cells: Cell) -> Path:
        for number, split in enumerate(bccd.SPLITS):
            draw(tmp_path / "JPEGImages" / f"{split}.jpg", number)
            write(tmp_path / "Annotations" / f"{split}.xml", xml(cells or [("WBC", 1, 1, 8, 8)]))
            write(tmp_path / "ImageSets" / "Main" / f"{split}.txt", f"{split}\n")
        return tmp_path

    return make


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def xml(cells: Any) -> str:
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for name, x0, y0, x1, y1 in cells
    )
    size = "<size><width>8</width><height>8</height></size>"
    return f"<annotation>{size}{objects}</annotation>"


def test_cells_are_written_from_top_to_bottom(
    source: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    cells = [("RBC", 1, 5, 3, 7), ("WBC", 6, 2, 8, 8), ("Platelets", 4, 3, 5, 4)]

    made = convert(bccd.CONVERTER, source(*cells))

    assert made.rows("train")[0][2] == "5,1,8,8,1,WBC&&3,2,5,4,2,Platelets&&0,4,3,7,0,RBC"


def test_equally_high_cells_stay_as_annotated(
    source: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    made = convert(bccd.CONVERTER, source(("RBC", 5, 2, 8, 4), ("RBC", 1, 2, 3, 4)))

    assert made.rows("train")[0][2] == "4,1,8,4,0,RBC&&0,1,3,4,0,RBC"


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (("Yeast", 1, 1, 4, 4), "annotation: an unknown name of an object"),
        (("RBC", 1, 1, "", 4), "annotation: no bndbox/xmax"),
    ],
)
def test_unreadable_annotations_are_counted(
    source: Callable[..., Path], convert: Callable[..., Any], cell: Any, reason: str
) -> None:
    folder = source()
    write(folder / "Annotations" / "train.xml", xml([cell]))

    made = convert(bccd.CONVERTER, folder)

    assert made.json("card")["rejected"] == {reason: 1}
    assert made.counts() == {"valid": 1, "test": 1}
