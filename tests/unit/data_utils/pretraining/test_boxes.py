"""Detection and picture rows, on look-alikes and on BCCD."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from biomedgpt_fairseq.data.detection import DETECTION_COLUMNS
from data_utils.pascal_voc import read_annotation
from data_utils.pretraining import boxes, pictures
from data_utils.pretraining.stored import crop_dark_border

HEADER = "File_name,Patient_index,Bounding_boxes,Coarse_lesion_type,Train_Val_Test"


def test_columns_are_those_of_the_task() -> None:
    assert boxes.KIND.columns == DETECTION_COLUMNS


def test_deep_lesion_has_a_row_for_each_slice(
    tmp_path: Path, draw: Callable[..., Path], work: Callable[..., Any]
) -> None:
    lines = [HEADER, 'a.png,1,"0, 1.5, 4, 6",5,2', 'b.png,1,"0, 1, 4, 6",-1,1']
    lines += ['a.png,1,"1, 2, 3.25, 4",7,2', 'c.png,2,"1, 2, 3, 4",1,3']
    (tmp_path / "dl").mkdir()
    (tmp_path / "dl" / "DL_info.csv").write_text("\n".join(lines))
    for name in ("a.png", "b.png"):
        draw(tmp_path / "dl" / "Key_slices" / name, 1)

    made = work(boxes.KIND, "deep_lesion", tmp_path / "dl")

    labels = "0,1.5,4,6,5,lung lesion&&1,2,3.25,4,7,soft tissue lesion"
    assert made.rows("0,2") == [["a.png", labels]]
    assert made.card["rejected"] == {"no box": 1, "no such file": 1, "no type": 1}


@pytest.mark.parametrize("cells", ['"0, 1, 4",5', '"0, 1, 4, 5",9', '"0, 1, 4, 5",lung'])
def test_bad_lesion_names_table_and_slice(
    tmp_path: Path, cells: str, draw: Callable[..., Path], work: Callable[..., Any]
) -> None:
    (tmp_path / "DL_info.csv").write_text(f"{HEADER}\na.png,1,{cells},1\n")

    with pytest.raises(ValueError, match=r"DL_info\.csv: a\.png: bad Coarse_lesion_type"):
        work(boxes.KIND, "deep_lesion", tmp_path)


def write_voc(path: Path, objects: list[tuple[str, str]]) -> None:
    sides = ("xmin", "ymin", "xmax", "ymax")
    items = [
        f"<object><name>{name}</name><bndbox>"
        + "".join(f"<{s}>{v}</{s}>" for s, v in zip(sides, box.split(","), strict=True))
        + "</bndbox></object>"
        for name, box in objects
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation><filename>x</filename>{''.join(items)}</annotation>")


def test_ddr_lesions_and_rejects(
    tmp_path: Path, draw: Callable[..., Path], work: Callable[..., Any]
) -> None:
    source = tmp_path / "DDR-dataset"
    found = [("ex", "1,1,4,4"), ("MA", "2,2,2,5"), ("HE", "3,3,20,20"), ("XX", "1,1,2,2")]
    for split in ("train", "valid", "test"):
        write_voc(source / "lesion_detection" / split / f"{split}-1.xml", found)
        draw(source / "lesion_segmentation" / split / "image" / f"{split}-1.jpg", 1)
    write_voc(source / "lesion_detection" / "train" / "gone.xml", found)

    made = work(boxes.KIND, "ddr", source)

    # Pixels from 1, the last one inside -> from 0, behind it.
    assert made.rows("0,2") == [["train-1", "0,0,4,4,0,hard exudate"]]
    assert made.rows("0", "valid") == [["valid-1"]]
    assert made.card["rejected"] == {
        "box outside of the picture": 3,
        "box without area": 3,
        "no picture of this name": 1,
        "of the test split": 1,
        "unknown lesion XX": 3,
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<a/>", "expected <annotation>, found <a>"),
        ("<annotation><object><name>x</name></object></annotation>", "object 1: expected numbers"),
        ("<annotation>", "not valid XML"),
    ],
)
def test_bad_annotation_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.xml").write_text(content)

    with pytest.raises(ValueError, match=rf"a\.xml.*{message}"):
        read_annotation(tmp_path / "a.xml")


@pytest.mark.shared
def test_bccd_boxes(shared_dir: Path, work: Callable[..., Any]) -> None:
    made = work(boxes.KIND, "bccd", shared_dir / "data" / "bccd")

    assert len(made.rows("0")) == 205 and len(made.rows("0", "valid")) == 87
    assert made.card["rejected"]["of the test split"] == 40


def test_pictures_become_squares(
    tmp_path: Path, draw: Callable[..., Path], work: Callable[..., Any]
) -> None:
    for number, name in enumerate(("a/1.png", "a/2.jpg", "b/3.png", "b/4.png")):
        draw(tmp_path / "p" / name, number)
    (tmp_path / "p" / "a" / "bad.png").write_bytes(b"no")
    (tmp_path / "p" / "a" / "bad.txt").write_bytes(b"no")
    (tmp_path / "list.txt").write_text("1\n2.jpg\nbad.png\nb/3.png\n")

    only = ("--only", str(tmp_path / "list.txt"), "--side", "16")
    made = work(pictures.KIND, "folder", tmp_path / "p", *only)

    assert [row[0] for row in made.rows()] == ["a/1.png", "a/2.jpg", "b/3.png"]
    for _, cell in made.rows():
        assert Image.open(io.BytesIO(base64.b64decode(cell))).size == (16, 16)
    assert made.card["rejected"] == {"not a readable picture": 1, "not in the list": 1}


def test_dark_border_is_cut_off() -> None:
    pixels = np.full((40, 60), 10, np.uint8)
    pixels[5:25, 12:50] = 150
    pixels[10:20, 20:30] = 90

    assert crop_dark_border(Image.fromarray(pixels)).size == (38, 20)
    plain = Image.fromarray(np.full((7, 9, 3), 10, np.uint8))
    assert crop_dark_border(plain).size == (9, 7)
