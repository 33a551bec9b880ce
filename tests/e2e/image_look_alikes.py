"""Small sources in the layouts of the data sets with pictures, which data_utils/ describes."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from look_alikes import (
    DRAWN,
    ORGANS,
    QUARTERS,
    TEST,
    TRAIN,
    VALID,
    Builder,
    by_split,
    draw,
    numbered,
    question,
    sentence,
    write,
    write_csv,
)


def vqa_rad(folder: Path) -> dict[str, str]:
    def make(number: int) -> dict[str, Any]:
        draw(folder / "images" / f"{number // 2}.jpg", number // 2)
        place = {"qid": number, "image_name": f"{number // 2}.jpg", "image_organ": "CHEST"}
        return place | question(number)

    for name, rows in by_split("trainset", None, "testset", make).items():
        write(folder / f"{name}.json", json.dumps(rows))
    return {"SOURCE": str(folder)}


def vqa_rad_organ(folder: Path) -> dict[str, str]:
    rows = []
    for number in range(DRAWN):  # a fifth of 15, 15 and 10 is the test fold
        draw(folder / "images" / f"{number}.jpg", number)
        organ = ("HEAD", "HEAD", "HEAD", "CHEST", "CHEST", "CHEST", "ABD", "ABD")[number % 8]
        place = {"qid": number, "image_name": f"{number}.jpg", "image_organ": organ}
        rows.append(place | question(number))
    write(folder / "trainset.json", json.dumps(rows))
    write(folder / "testset.json", "[]")
    return {"SOURCE": str(folder), "FOLD": "0"}


def slake(folder: Path) -> dict[str, str]:
    def make(number: int) -> dict[str, Any]:
        draw(folder / "imgs" / f"xmlab{number}" / "source.jpg", number)
        place = {"qid": number, "img_name": f"xmlab{number}/source.jpg", "location": "Chest"}
        return place | {"q_lang": "en"} | question(number)

    for name, rows in by_split("train", "validate", "test", make).items():
        write(folder / f"{name}.json", json.dumps(rows))
    return {"SOURCE": str(folder)}


def path_vqa(folder: Path) -> dict[str, str]:
    lists: dict[str, list[Any]] = {}
    for name, number in numbered("train", "val", "test"):
        draw(folder / "images" / name / f"{name}_{number:04}.jpg", number)
        lists.setdefault(name, []).append({"image": f"{name}_{number:04}"} | question(number))
    for name, rows in lists.items():
        path = folder / "qas" / name / f"{name}_qa.pkl"
        path.parent.mkdir(parents=True)
        path.write_bytes(pickle.dumps(rows))
    return {"SOURCE": str(folder)}


def pmc_vqa(folder: Path) -> dict[str, str]:
    columns = ("Figure_path", "Question", *(f"Choice {letter}" for letter in "ABCD"), "Answer")
    choices = [f" {letter}:{organ}" for letter, organ in zip("ABCD", ORGANS, strict=True)]

    def make(number: int) -> list[str]:
        draw(folder / "figures" / f"PMC{number}.jpg", number)
        return [f"PMC{number}.jpg", "Which organ is shown?", *choices, "ABCD"[number % 4]]

    for name, rows in by_split("train_2", None, "test_2", make).items():
        write_csv(folder / f"{name}.csv", columns, rows)
    return {"SOURCE": str(folder)}


def caption_tables(folder: Path, images: str, pattern: str) -> dict[str, str]:
    def make(number: int) -> str:
        file = pattern.format(number)
        draw(folder / images / file, number)
        return f"{file}\t{sentence(number)}"

    for name, lines in by_split("train", None, "test", make).items():
        write(folder / f"{name}_images.tsv", *lines)
    return {"SOURCE": str(folder)}


def iu_xray(folder: Path) -> dict[str, str]:
    return caption_tables(folder, "iu_xray_images", "CXR{0}_IM-{0}-1001.png")


def peir_gross(folder: Path) -> dict[str, str]:
    return caption_tables(folder, "peir_gross_images", "{0}.jpg")


def roco(folder: Path) -> dict[str, str]:
    lists: dict[str, list[str]] = {}
    for name, number in numbered("train", "validation", "test"):
        draw(folder / name / "radiology" / "images" / f"ROCO_{number:05}.jpg", number)
        lists.setdefault(name, []).append(f"ROCO_{number:05}\t {sentence(number)}")
    for name, lines in lists.items():
        write(folder / name / "radiology" / "captions.txt", *lines)
    return {"SOURCE": str(folder)}


def covid_chestxray(folder: Path) -> dict[str, str]:
    rows = []
    for number in range(DRAWN):
        draw(folder / "images" / f"{number}.jpg", number)
        rows.append((number, f"{number}.jpg", sentence(number), "images", "CC BY"))
    columns = ("patientid", "filename", "clinical_notes", "folder", "license")
    write_csv(folder / "metadata.csv", columns, rows)
    return {"SOURCE": str(folder), **QUARTERS}


def covid_lungs(folder: Path) -> dict[str, str]:
    images, boxes = [], []
    for number in range(DRAWN):
        draw(folder / "images" / f"{number}.jpg", number)
        facts = {"patientid": str(number), "license": "CC BY"}
        place = {"id": number, "file_name": f"{number}.jpg", "width": 16, "height": 16}
        images.append(place | {"metadata": facts})
        for category in (1, 2):
            corners = [1.5 + 6 * (category - 1), number % 4, 6, 9.25]
            boxes.append({"image_id": number, "category_id": category, "bbox": corners})
    lungs = [{"id": 1, "name": "Right Lung"}, {"id": 2, "name": "Left Lung"}]
    tables = {"images": images, "categories": lungs, "annotations": boxes}
    write(folder / "annotations" / "annotations.json", json.dumps(tables))
    return {"SOURCE": str(folder), **QUARTERS}


def bccd(folder: Path) -> dict[str, str]:
    lists: dict[str, list[str]] = {}
    for name, number in numbered("train", "val", "test"):
        draw(folder / "JPEGImages" / f"BloodImage_{number:05}.jpg", number)
        objects = [("RBC", 1, 1, 6, 8), ("WBC", 3 + number % 5, 4, 16, 16)]
        annotation = "".join(
            f"<object><name>{cell}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
            f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
            for cell, x0, y0, x1, y1 in objects
        )
        size = "<size><width>16</width><height>16</height></size>"
        file = folder / "Annotations" / f"BloodImage_{number:05}.xml"
        write(file, f"<annotation>{size}{annotation}</annotation>")
        lists.setdefault(name, []).append(f"BloodImage_{number:05}")
    for name, names in lists.items():
        write(folder / "ImageSets" / "Main" / f"{name}.txt", *names)
    return {"SOURCE": str(folder)}


def chexpert(folder: Path) -> dict[str, str]:
    tables: dict[str, list[tuple[str, str, float]]] = {}
    # The release has no test rows: those of validation are evaluated.
    for name, number in numbered("train", None, "valid"):
        inside = f"{name}/patient{number:05}/study1/view1_frontal.jpg"
        draw(folder / inside, number)
        row = (f"CheXpert-v1.0-small/{inside}", "Frontal", float(number % 2))
        tables.setdefault(name, []).append(row)
    for name, rows in tables.items():
        write_csv(folder / f"{name}.csv", ("Path", "Frontal/Lateral", "Pleural Effusion"), rows)
    return {"SOURCE": str(folder)}


def rsna_pneumonia(folder: Path) -> dict[str, str]:
    for number in range(DRAWN):
        draw(folder / "png" / f"p{number}.png", number)
    columns = ("patientId", "x", "y", "width", "height", "Target")
    rows = [(f"p{n}", 1, 2, 3, 4, n % 2) for n in range(DRAWN)]
    write_csv(folder / "stage_2_train_labels.csv", columns, rows)
    return {"SOURCE": str(folder), **QUARTERS}


def shenzhen(folder: Path) -> dict[str, str]:
    for number in range(DRAWN):
        draw(folder / "CXR_png" / f"CHNCXR_{number:04}_{number % 2}.png", number)
    return {"SOURCE": str(folder / "CXR_png"), **QUARTERS}


def medmnist(folder: Path) -> dict[str, str]:
    rng = np.random.default_rng(5)
    sizes = {"train": TRAIN, "val": VALID, "test": TEST}
    arrays = {f"{s}_images": rng.integers(0, 255, (n, 28, 28), np.uint8) for s, n in sizes.items()}
    arrays |= {f"{s}_labels": rng.integers(0, 2, (n, 1), np.uint8) for s, n in sizes.items()}
    np.savez(folder / "pneumoniamnist.npz", **arrays)
    return {"NPZ": str(folder / "pneumoniamnist.npz")}


def image_folder(folder: Path) -> dict[str, str]:
    rows = []
    for name, number in numbered("train", "valid", "test"):
        draw(folder / f"{number}.png", number)
        rows.append((f"{number}.png", ("mass", "no finding")[number % 2], name))
    write_csv(folder / "table.csv", ("path", "label", "split"), rows)
    return {"IMAGES": str(folder), "CSV": str(folder / "table.csv")}


IMAGE_SETS: dict[str, Builder] = {
    "vqa_gen/vqa_rad": vqa_rad,
    "image_classify/vqa_rad_organ": vqa_rad_organ,
    "vqa_gen/slake": slake,
    "vqa_gen/path_vqa": path_vqa,
    "vqa_gen/pmc_vqa": pmc_vqa,
    "caption/iu_xray": iu_xray,
    "caption/peir_gross": peir_gross,
    "caption/roco": roco,
    "caption/covid_chestxray": covid_chestxray,
    "detection/bccd": bccd,
    "detection/covid_chestxray": covid_lungs,
    "image_classify/chexpert": chexpert,
    "image_classify/rsna_pneumonia": rsna_pneumonia,
    "image_classify/shenzhen": shenzhen,
    "image_classify/medmnist": medmnist,
    "image_classify/image_folder": image_folder,
}
"""By the name of the script."""
