"""CheXpert, RSNA, Shenzhen and Montgomery, on look-alikes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils import chexpert, rsna_pneumonia, shenzhen

FIRST_ROWS = ("1.0", "0.0", "", "-1.0")


def write_chexpert(folder: Path, draw: Callable[..., Path]) -> Path:
    """Four frontal views and a lateral one for training; one row for validation."""
    lines = ["Path,Sex,Frontal/Lateral,Edema,No Finding"]
    for number, value in enumerate((*FIRST_ROWS, "1.0")):
        view = "lateral" if number == 4 else "frontal"
        inside = f"train/patient0000{number}/study1/view1_{view}.jpg"
        draw(folder / inside, number)
        lines.append(f"CheXpert-v1.0-small/{inside},Female,{view},{value},1.0")
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
    inside = "valid/patient64541/study1/view1_frontal.jpg"
    draw(folder / inside, 9)
    (folder / "valid.csv").write_text(f"{lines[0]}\nCheXpert-v1.0/{inside},Male,Frontal,0.0,\n")
    return folder


def test_chexpert_takes_one_finding(
    tmp_path: Path, draw: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    source = write_chexpert(tmp_path, draw)

    made = convert(chexpert.CONVERTER, source, "--finding", "Edema")

    assert made.rows("train", "1,2") == [["1", "edema"], ["0", "no edema"], ["0", "no edema"]]
    assert made.counts() == {"train": 3, "valid": 1}
    assert made.json("answers") == {"no edema": 0, "edema": 1}
    card = made.json("card")
    assert card["rejected"] == {"uncertain": 1, "another view": 1}
    assert card["options"]["finding"] == "Edema"


@pytest.mark.parametrize(("choice", "label"), [("present", "edema"), ("absent", "no edema")])
def test_chexpert_uncertain_and_views_are_choices(
    choice: str,
    label: str,
    tmp_path: Path,
    draw: Callable[..., Path],
    convert: Callable[..., Any],
) -> None:
    words = ("--finding", "Edema", "--uncertain", choice, "--view", "both")
    made = convert(chexpert.CONVERTER, write_chexpert(tmp_path, draw), *words)

    assert [row[2] for row in made.rows("train")][3:] == [label, "edema"]


def test_chexpert_no_finding_means_normal(
    tmp_path: Path, draw: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    made = convert(chexpert.CONVERTER, write_chexpert(tmp_path, draw), "--finding", "No Finding")

    assert made.rows("valid", "1,2") == [["0", "abnormal"]]
    assert made.json("answers") == {"abnormal": 0, "normal": 1}


def test_patients_in_several_splits_are_counted(
    tmp_path: Path, draw: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    source = write_chexpert(tmp_path, draw)
    inside = "valid/patient00000/study2/view1_frontal.jpg"
    draw(source / inside, 10)
    with (source / "valid.csv").open("a") as stream:
        stream.write(f"{inside},Male,Frontal,0.0,\n")

    made = convert(chexpert.CONVERTER, source, "--finding", "Edema")

    assert made.json("card")["groups_shared"] == 1


def test_rsna_takes_a_row_for_each_patient(
    tmp_path: Path, draw: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    lines = ["patientId,x,y,width,height,Target"]
    for number in range(20):
        draw(tmp_path / "png" / f"p{number}.png", number)
        lines += [f"p{number},1,2,3,4,{number % 2}"] * (1 + number % 2)
    (tmp_path / "png" / "p20.dcm").write_bytes(b"DICM")
    lines += ["p20,,,,,0", "p21,,,,,0"]
    (tmp_path / "stage_2_train_labels.csv").write_text("\n".join(lines))

    made = convert(rsna_pneumonia.CONVERTER, tmp_path)

    assert made.counts() == {"train": 16, "valid": 2, "test": 2}
    assert sorted(row[2] for row in made.rows("test")) == ["no pneumonia", "pneumonia"]
    rejected = made.json("card")["rejected"]
    assert rejected == {"DICOM, to be converted to PNG": 1, "no such picture": 1}


def test_rsna_detailed_classes(
    tmp_path: Path, draw: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    names = ["Normal", "No Lung Opacity / Not Normal", "Lung Opacity", "?"]
    for number in range(len(names)):
        draw(tmp_path / f"p{number}.png", number)
    lines = ["patientId,class", *(f"p{n},{name}" for n, name in enumerate(names))]
    (tmp_path / "stage_2_detailed_class_info.csv").write_text("\n".join(lines))

    made = convert(rsna_pneumonia.CONVERTER, tmp_path, "--detailed", "--fractions", "1,0,0")

    expected = [["0", "normal"], ["1", "no lung opacity, not normal"], ["2", "lung opacity"]]
    assert made.rows("train", "1,2") == expected
    assert made.json("card")["rejected"] == {"unknown class": 1}


def test_shenzhen_class_is_in_the_name(
    tmp_path: Path, draw: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    for number in range(20):
        draw(tmp_path / f"CHNCXR_{number:04}_{number % 2}.png", number)
    draw(tmp_path / "MCUCXR_0001_0 copy.png", 30)

    made = convert(shenzhen.CONVERTER, tmp_path)

    assert made.counts() == {"train": 16, "valid": 2, "test": 2}
    assert made.json("answers") == {"normal": 0, "tuberculosis": 1}
    items = made.json("splits")["train"]
    expected = ["tuberculosis" if item.endswith("_1.png") else "normal" for item in items]
    assert [row[2] for row in made.rows("train")] == expected
    assert made.json("card")["rejected"] == {"no class in the name": 1}
