"""Folders and tables of pictures."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biomedgpt_fairseq.data.image import load_image
from biomedgpt_fairseq.data.tsv import TsvReader
from data_utils.image_folder import FolderOptions, _build_parser, _run, convert
from data_utils.images import ImagePolicy
from data_utils.picture_list import Picture, find_pictures, read_csv


def draw(path: Path, seed: int, side: int = 12) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(20):
        name = f"image({number}) p{number // 2}.png"
        draw(tmp_path / "in" / ["no_tumor", "glioma"][number % 2] / name, number)
    return tmp_path / "in"


def rows(output: Path, split: str) -> list[list[str]]:
    return list(TsvReader(str(output / f"{split}.tsv")))


def test_folders_of_classes_are_split_with_equal_shares(folder: Path, tmp_path: Path) -> None:
    convert(find_pictures(folder), tmp_path / "out", FolderOptions())

    assert [len(rows(tmp_path / "out", s)) for s in ("train", "valid", "test")] == [16, 2, 2]
    for split in ("train", "valid", "test"):
        labels = [row[2] for row in rows(tmp_path / "out", split)]
        assert labels.count("glioma") == labels.count("no_tumor")
    answers = json.loads((tmp_path / "out" / "answers.json").read_text())
    assert answers == {"glioma": 0, "no_tumor": 1}
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["options"]["seed"] == 1 and card["leaks"]["shared"] == 0


def test_bytes_of_the_files_are_kept(folder: Path, tmp_path: Path) -> None:
    convert(find_pictures(folder), tmp_path / "out", FolderOptions(fractions=(1.0, 0.0, 0.0)))

    stored = {base64.b64decode(row[0]) for row in rows(tmp_path / "out", "train")}
    assert stored == {path.read_bytes() for path in folder.rglob("*.png")}


def test_groups_found_in_the_path_stay_together(folder: Path, tmp_path: Path) -> None:
    pictures = find_pictures(folder, r"p(\d+)\.png")
    assert {picture.group for picture in pictures} == {str(number) for number in range(10)}

    convert(pictures, tmp_path / "out", FolderOptions())

    counts = [len(rows(tmp_path / "out", split)) for split in ("train", "valid", "test")]
    assert counts == [16, 2, 2]


def test_group_pattern_that_finds_nothing_is_an_error(folder: Path) -> None:
    with pytest.raises(ValueError, match="finds nothing in"):
        find_pictures(folder, "patient")


def test_folders_of_splits_are_taken_over(tmp_path: Path) -> None:
    for number, place in enumerate(["Training/a", "Training/b", "val/a", "Testing/b"]):
        draw(tmp_path / "in" / place / "x.png", number)

    found = [(p.split, p.label) for p in find_pictures(tmp_path / "in")]

    assert sorted(found) == [("test", "b"), ("train", "a"), ("train", "b"), ("valid", "a")]


def write_table(folder: Path, header: str, *lines: str) -> Path:
    table = folder / "splits.csv"
    table.write_text("\n".join([header, *lines]) + "\n")
    return table


def test_table_gives_labels_and_splits(folder: Path, tmp_path: Path) -> None:
    first, second = "no_tumor/image(0) p0.png", "glioma/image(1) p0.png"
    table = write_table(folder, "path,label,split", f"{first},x y,train", f"{second},z,val")

    convert(read_csv(table, folder), tmp_path / "out", FolderOptions(), [table])

    assert [row[1:] for row in rows(tmp_path / "out", "train")] == [["0", "x y"]]
    assert [row[1:] for row in rows(tmp_path / "out", "valid")] == [["1", "z"]]


def test_only_wanted_splits_are_written(folder: Path, tmp_path: Path) -> None:
    pictures = [Picture(p, "a", s) for p, s in zip(folder.rglob("*.png"), "xyx", strict=False)]

    convert(pictures, tmp_path / "out", FolderOptions(splits=("x",)))

    assert [path.name for path in (tmp_path / "out").glob("*.tsv")] == ["x.tsv"]
    with pytest.raises(ValueError, match="no pictures in split 'test'; found"):
        convert(pictures, tmp_path / "out", FolderOptions(splits=("test",)))


def test_table_without_the_columns_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="expected the columns .*label.*path"):
        read_csv(write_table(folder, "file,class", "a,b"), folder)


def test_some_rows_without_split_are_refused(folder: Path, tmp_path: Path) -> None:
    paths = list(folder.rglob("*.png"))
    pictures = [Picture(paths[0], "a", "train"), Picture(paths[1], "a")]

    with pytest.raises(ValueError, match="1 of 2 items have a split"):
        convert(pictures, tmp_path / "out", FolderOptions())


def test_unreadable_pictures_are_counted_not_written(folder: Path, tmp_path: Path) -> None:
    good = next(folder.rglob("*.png"))
    (folder / "cut.png").write_bytes(good.read_bytes()[:200])
    pictures = [Picture(p, "a", "train") for p in (good, folder / "cut.png", folder / "none.png")]

    convert(pictures, tmp_path / "out", FolderOptions())

    assert len(rows(tmp_path / "out", "train")) == 1
    rejects = json.loads((tmp_path / "out" / "card.json").read_text())["files"]["train.tsv"]
    assert rejects["rejected"] == {"not a readable picture": 1, "no such file": 1}


def test_equal_pictures_in_two_splits_are_found(folder: Path, tmp_path: Path) -> None:
    paths = sorted(folder.rglob("*.png"))
    copy = folder / "copy.bmp"
    Image.open(paths[0]).save(copy)
    pictures = [Picture(paths[0], "a", "train"), Picture(copy, "a", "test")]

    with pytest.raises(ValueError, match="train row 1 = test row 1"):
        convert(pictures, tmp_path / "out", FolderOptions())


def test_pictures_are_reduced_and_encoded_anew_on_request(tmp_path: Path) -> None:
    path = draw(tmp_path / "in" / "a" / "x.bmp", 1, side=40)
    policy = ImagePolicy("jpeg", max_side=10)

    convert([Picture(path, "a", "train")], tmp_path / "out", FolderOptions(images=policy))

    cell = rows(tmp_path / "out", "train")[0][0]
    assert base64.b64decode(cell)[:3] == b"\xff\xd8\xff"
    assert load_image(cell).size == (10, 10)


def test_other_formats_become_png(tmp_path: Path) -> None:
    path = draw(tmp_path / "in" / "a" / "x.bmp", 1)

    convert([Picture(path, "a", "train")], tmp_path / "out", FolderOptions())

    cell = rows(tmp_path / "out", "train")[0][0]
    assert base64.b64decode(cell)[:4] == b"\x89PNG"
    with Image.open(path) as image:
        assert load_image(cell).tobytes() == image.convert("RGB").tobytes()


def test_label_outside_the_given_list_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="labels .'no_tumor'. are not in the given list"):
        convert(find_pictures(folder), tmp_path / "out", FolderOptions(labels=("glioma",)))


def test_program_reads_folder_and_table(folder: Path, tmp_path: Path) -> None:
    table = write_table(
        folder, "path,label,split", "glioma/image(1) p0.png,a,train", "glioma/image(3) p1.png,a,dev"
    )
    arguments = [str(folder), "--csv", str(table), "--output", str(tmp_path / "out")]

    _run(_build_parser().parse_args([*arguments, "--splits", "val", "--max-side", "6"]))

    assert [load_image(row[0]).size for row in rows(tmp_path / "out", "valid")] == [(6, 6)]
    assert not (tmp_path / "out" / "train.tsv").exists()
    _run(_build_parser().parse_args([str(folder), "--output", str(tmp_path / "all")]))
    assert len(rows(tmp_path / "all", "train")) == 16


@pytest.mark.shared
def test_brain_mri_keeps_its_published_splits(shared_dir: Path, tmp_path: Path) -> None:
    root = shared_dir / "data" / "brain_mri"
    pictures = read_csv(root / "splits.csv", root)
    counts = {
        split: sum(picture.split == split for picture in pictures)
        for split in ("train", "valid", "test", "official_testing")
    }
    assert counts == {"train": 835, "valid": 100, "test": 180, "official_testing": 38}

    options = FolderOptions(splits=("valid", "official_testing"), on_leak="error")
    convert(pictures, tmp_path, options, [root / "splits.csv"])

    assert (len(rows(tmp_path, "valid")), len(rows(tmp_path, "official_testing"))) == (100, 38)
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert list(answers) == ["glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor"]
