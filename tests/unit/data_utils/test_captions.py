"""Captions: IU X-ray, PEIR Gross, ROCO."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils import iu_xray, peir_gross, roco


def write_tables(folder: Path, draw: Callable[..., Path], images: str, pattern: str) -> Path:
    """20 training pictures, two for each study, and two test pictures."""
    for name, numbers in (("train", range(20)), ("test", range(20, 22))):
        files = [pattern.format(number // 2, number) for number in numbers]
        for number, file in zip(numbers, files, strict=True):
            draw(folder / images / file, number)
        lines = [f"{file}\tNormal heart,  no\u00a0effusion.\n" for file in files]
        (folder / f"{name}_images.tsv").write_text("".join(lines), encoding="utf-8")
    return folder


def test_iu_tables_keep_studies_together(
    tmp_path: Path, draw: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    source = write_tables(tmp_path, draw, "iu_xray_images", "CXR{}_IM-{}-1001.png")

    made = convert(iu_xray.CONVERTER, source)

    assert made.counts() == {"train": 18, "valid": 2, "test": 2}
    row = made.rows("test")[0]
    assert row[:2] == ["200_CXR10_IM-20-1001", "CXR10_IM-20-1001.png"]
    assert row[2:4] == ["Normal heart, no effusion.", ""] and row[4]
    studies = [{row[1].split("_")[0] for row in made.rows(s)} for s in ("train", "valid")]
    assert not studies[0] & studies[1]


def test_iu_annotation_gives_a_row_for_each_picture(
    tmp_path: Path, draw: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    splits: dict[str, Any] = {}
    for number, split in enumerate(("train", "val", "test")):
        files = [f"CXR{number}/{view}.png" for view in (0, 1)]
        for view, file in enumerate(files):
            draw(tmp_path / "images" / file, 2 * number + view)
        splits[split] = [{"id": f"CXR{number}", "report": "Clear lungs.", "image_path": files}]
    (tmp_path / "annotation.json").write_text(json.dumps(splits))

    made = convert(iu_xray.CONVERTER, tmp_path)

    assert made.counts() == {"train": 2, "valid": 2, "test": 2}
    assert [row[0] for row in made.rows("valid")] == ["200_CXR1_0", "200_CXR1_1"]


def test_peir_draws_its_validation_split_by_seed(
    tmp_path: Path, draw: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    source = write_tables(tmp_path, draw, "peir_gross_images", "{}_{}.jpg")
    first = convert(peir_gross.CONVERTER, source, "--valid-share", "0.2").json("splits")

    assert [len(rows) for rows in first.values()] == [16, 4, 2]
    again = convert(peir_gross.CONVERTER, source, "--valid-share", "0.2").json("splits")
    other = convert(peir_gross.CONVERTER, source, "--valid-share", "0.2", "--seed", "2")
    assert first == again and first != other.json("splits")


def test_equal_pictures_never_part_into_train_and_valid(
    tmp_path: Path, draw: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    source = write_tables(tmp_path, draw, "peir_gross_images", "{}_{}.png")
    for number in range(20):
        draw(source / "peir_gross_images" / f"{number // 2}_{number}.png", number // 2)

    made = convert(peir_gross.CONVERTER, source, "--valid-share", "0.5", "--on-leak", "error")

    assert made.json("card")["leaks"]["shared"] == 0


def test_line_without_caption_is_an_error(
    tmp_path: Path, draw: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    source = write_tables(tmp_path, draw, "peir_gross_images", "{}_{}.jpg")
    (source / "test_images.tsv").write_text("1.jpg\n")

    with pytest.raises(ValueError, match="test_images.tsv:1: expected two columns"):
        convert(peir_gross.CONVERTER, source)


def test_roco_kinds_and_rejects(
    tmp_path: Path, draw: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    number = 0
    for split in roco.SPLITS:
        for kind in ("radiology", "non-radiology"):
            folder = tmp_path / split / kind
            draw(folder / "images" / f"ROCO_{number:05}.jpg", number)
            lines = f"ROCO_{number:05}\t CT\tscan \nROCO_99999\tgone\nROCO_0\ta && b\n"
            (folder / "captions.txt").write_text(lines)
            number += 1

    made = convert(roco.CONVERTER, tmp_path)

    assert made.counts() == {"train": 1, "valid": 1, "test": 1}
    assert made.rows("train", "0,1,2") == [["1500_ROCO_00000", "ROCO_00000.jpg", "CT scan"]]
    card = made.json("card")
    assert card["rejected"] == {"the caption holds &&": 3}
    assert card["files"]["test.tsv"]["rejected"] == {"no such file": 1}
    both = convert(roco.CONVERTER, tmp_path, "--kinds", "radiology,non-radiology")
    assert both.counts() == {"train": 2, "valid": 2, "test": 2}
