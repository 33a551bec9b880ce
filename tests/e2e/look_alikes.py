"""Small sources in the layouts of the data sets: the layouts are described in data_utils/.

A builder fills a folder and returns the settings of the script. Given test splits have TEST rows,
others are drawn from DRAWN rows, a quarter of them for testing.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Builder = Callable[[Path], dict[str, str]]
BUILDERS: dict[str, Builder] = {}
"""By the script, such as vqa_gen/slake."""

TRAIN, VALID, TEST, DRAWN = 16, 8, 8, 40
QUARTERS = {"DATA_OPTIONS": "--fractions 0.5,0.25,0.25"}
ORGANS = ("lung", "heart", "liver", "spleen")


def builder(function: Builder) -> Builder:
    """Enter a builder under its name, in which two underscores stand for the slash."""
    BUILDERS[function.__name__.replace("__", "/")] = function
    return function


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    csv.writer(text).writerows([columns, *rows])
    raw = text.getvalue().encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def numbered(train: str, valid: str | None, test: str) -> Iterator[tuple[str, int]]:
    """Names of the splits with the numbers of their rows, all different."""
    sizes = {train: TRAIN, valid: VALID, test: TEST} if valid else {train: 2 * TRAIN, test: TEST}
    number = 0
    for name, size in sizes.items():
        for _ in range(size):
            yield str(name), number
            number += 1


def by_split(
    train: str, valid: str | None, test: str, make: Callable[[int], Any]
) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for name, number in numbered(train, valid, test):
        found.setdefault(name, []).append(make(number))
    return found


def question(number: int) -> dict[str, Any]:
    """Open and closed ones."""
    closed = bool(number % 2)
    return {
        "question": f"Is this a {ORGANS[number % 4]}?" if closed else "Which organ is shown?",
        "answer": ("Yes" if number % 4 == 1 else "No") if closed else ORGANS[number % 4],
    }


def sentence(number: int) -> str:
    return f"The {ORGANS[number % 4]} of case {number} is normal, without effusion."


@builder
def vqa_gen__vqa_rad(folder: Path) -> dict[str, str]:
    def make(number: int) -> dict[str, Any]:
        draw(folder / "images" / f"{number // 2}.jpg", number // 2)
        place = {"qid": number, "image_name": f"{number // 2}.jpg", "image_organ": "CHEST"}
        return place | question(number)

    for name, rows in by_split("trainset", None, "testset", make).items():
        write(folder / f"{name}.json", json.dumps(rows))
    return {"SOURCE": str(folder)}


@builder
def image_classify__vqa_rad_organ(folder: Path) -> dict[str, str]:
    rows = []
    for number in range(DRAWN):  # a fifth of 15, 15 and 10 is the test fold
        draw(folder / "images" / f"{number}.jpg", number)
        organ = ("HEAD", "HEAD", "HEAD", "CHEST", "CHEST", "CHEST", "ABD", "ABD")[number % 8]
        place = {"qid": number, "image_name": f"{number}.jpg", "image_organ": organ}
        rows.append(place | question(number))
    write(folder / "trainset.json", json.dumps(rows))
    write(folder / "testset.json", "[]")
    return {"SOURCE": str(folder), "FOLD": "0"}


@builder
def vqa_gen__slake(folder: Path) -> dict[str, str]:
    def make(number: int) -> dict[str, Any]:
        draw(folder / "imgs" / f"xmlab{number}" / "source.jpg", number)
        place = {"qid": number, "img_name": f"xmlab{number}/source.jpg", "location": "Chest"}
        return place | {"q_lang": "en"} | question(number)

    for name, rows in by_split("train", "validate", "test", make).items():
        write(folder / f"{name}.json", json.dumps(rows))
    return {"SOURCE": str(folder)}


@builder
def vqa_gen__path_vqa(folder: Path) -> dict[str, str]:
    lists: dict[str, list[Any]] = {}
    for name, number in numbered("train", "val", "test"):
        draw(folder / "images" / name / f"{name}_{number:04}.jpg", number)
        lists.setdefault(name, []).append({"image": f"{name}_{number:04}"} | question(number))
    for name, rows in lists.items():
        path = folder / "qas" / name / f"{name}_qa.pkl"
        path.parent.mkdir(parents=True)
        path.write_bytes(pickle.dumps(rows))
    return {"SOURCE": str(folder)}


@builder
def vqa_gen__pmc_vqa(folder: Path) -> dict[str, str]:
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


@builder
def caption__iu_xray(folder: Path) -> dict[str, str]:
    return caption_tables(folder, "iu_xray_images", "CXR{0}_IM-{0}-1001.png")


@builder
def caption__peir_gross(folder: Path) -> dict[str, str]:
    return caption_tables(folder, "peir_gross_images", "{0}.jpg")


@builder
def caption__roco(folder: Path) -> dict[str, str]:
    lists: dict[str, list[str]] = {}
    for name, number in numbered("train", "validation", "test"):
        draw(folder / name / "radiology" / "images" / f"ROCO_{number:05}.jpg", number)
        lists.setdefault(name, []).append(f"ROCO_{number:05}\t {sentence(number)}")
    for name, lines in lists.items():
        write(folder / name / "radiology" / "captions.txt", *lines)
    return {"SOURCE": str(folder)}


@builder
def caption__covid_chestxray(folder: Path) -> dict[str, str]:
    rows = []
    for number in range(DRAWN):
        draw(folder / "images" / f"{number}.jpg", number)
        rows.append((number, f"{number}.jpg", sentence(number), "images", "CC BY"))
    columns = ("patientid", "filename", "clinical_notes", "folder", "license")
    write_csv(folder / "metadata.csv", columns, rows)
    return {"SOURCE": str(folder), **QUARTERS}


@builder
def gigaword__meqsum(folder: Path) -> dict[str, str]:
    made = by_split("train", "val", "test", lambda n: f"{sentence(n)} Why?\tWhy case {n}?")
    for name, lines in made.items():
        write(folder / f"{name}.tsv", *lines)
    return {"SOURCE": str(folder)}


def dialogues(path: Path) -> dict[str, str]:
    for number in range(DRAWN):
        lines = (f"id={number}", f"https://www.example.org/{number}", "Description")
        lines += (f"Q. What helps against cough {number}?", "Dialogue", "Patient:")
        lines += (sentence(number), "", "Doctor:", f"Drink tea {number}.", "")
        with path.open("a", encoding="utf-8") as stream:
            stream.write("\n".join(lines) + "\n")
    return {"SOURCE": str(path.parent), **QUARTERS}


@builder
def gigaword__healthcaremagic(folder: Path) -> dict[str, str]:
    return dialogues(folder / "healthcaremagic_dialogue_1.txt")


@builder
def gigaword__icliniq(folder: Path) -> dict[str, str]:
    return dialogues(folder / "icliniq_dialogue.txt")


def report(number: int) -> str:
    return f"FINAL REPORT\n FINDINGS: {sentence(number)}\n\n IMPRESSION: Case {number} is normal.\n"


@builder
def gigaword__indiana_reports(folder: Path) -> dict[str, str]:
    rows = [
        {"study_id": n, "findings": sentence(n), "impression": f"Case {n} is normal."}
        for n in range(DRAWN)
    ]
    write(folder / "indiana_dev.json", json.dumps(rows))
    return {"SOURCE": str(folder / "indiana_dev.json"), **QUARTERS}


@builder
def gigaword__mimic_cxr(folder: Path) -> dict[str, str]:
    rows = []
    for name, number in numbered("train", "validate", "test"):
        write(folder / "files" / "p10" / f"p1{number:07}" / f"s5{number:07}.txt", report(number))
        rows.append((f"d{number}", f"5{number:07}", f"1{number:07}", name))
    table = folder / "mimic-cxr-2.0.0-split.csv.gz"
    write_csv(table, ("dicom_id", "study_id", "subject_id", "split"), rows)
    return {"SOURCE": str(folder), "SPLIT_LIST": str(table)}


@builder
def gigaword__mimic_iii(folder: Path) -> dict[str, str]:
    columns = ("ROW_ID", "SUBJECT_ID", "CATEGORY", "DESCRIPTION", "ISERROR", "TEXT")
    rows = [(n, n, "Radiology", "CHEST (PORTABLE AP)", "", report(n)) for n in range(DRAWN)]
    write_csv(folder / "NOTEEVENTS.csv.gz", columns, rows)
    return {"SOURCE": str(folder / "NOTEEVENTS.csv.gz"), **QUARTERS}


@builder
def mnli__mednli(folder: Path) -> dict[str, str]:
    labels = ("entailment", "contradiction", "neutral")

    def make(number: int) -> str:
        pair = {"sentence1": sentence(number), "sentence2": "The patient is ill."}
        return json.dumps({"pairID": f"p{number}", "gold_label": labels[number % 3]} | pair)

    for name, lines in by_split("train", "dev", "test", make).items():
        write(folder / f"mli_{name}_v1.jsonl", *lines)
    return {"SOURCE": str(folder)}


@builder
def mnli__rqe(folder: Path) -> dict[str, str]:
    def make(number: int) -> str:
        value = ("true", "false")[number % 2]
        texts = f"<chq>{sentence(number)} Why?</chq><faq>Why {number}?</faq>"
        return f'<pair pid="{number}" value="{value}">{texts}</pair>'

    for name, pairs in by_split("Train", None, "Test", make).items():
        write(folder / f"RQE_{name}_AMIA2016.xml", "<rqe>", *pairs, "</rqe>")
    return {"SOURCE": str(folder)}


@builder
def text_classify__pubmedqa(folder: Path) -> dict[str, str]:
    items = {
        str(n): {
            "QUESTION": f"Does tea help in case {n}?",
            "CONTEXTS": [sentence(n), "Tea was given."],
            "LONG_ANSWER": "It does.",
            "final_decision": ("yes", "no", "maybe")[n % 3],
        }
        for n in range(DRAWN)
    }
    write(folder / "ori_pqal.json", json.dumps(items))
    tests = {name: item["final_decision"] for name, item in list(items.items())[-TEST:]}
    write(folder / "test_ground_truth.json", json.dumps(tests))
    return {"SOURCE": str(folder)}


@builder
def text_classify__evidence_inference(folder: Path) -> dict[str, str]:
    labels = ("significantly increased", "significantly decreased", "no significant difference")
    splits = list(numbered("train", "validation", "test"))
    for name in dict(splits):
        ids = [str(number) for split, number in splits if split == name]
        write(folder / "splits" / f"ev2_{name}_article_ids.txt", *ids)
    prompts = [(n, n, "Pain", f"Tea {n}", "Water") for _, n in splits]
    columns = ("PromptID", "PMCID", "Outcome", "Intervention", "Comparator")
    write_csv(folder / "prompts_merged.csv", columns, prompts)
    rows = [(n, n, labels[n % 3], sentence(n)) for _, n in splits]
    write_csv(folder / "v2_annotations.csv", ("PromptID", "PMCID", "Label", "Annotations"), rows)
    return {"SOURCE": str(folder)}


@builder
def text_classify__trec_trials(folder: Path) -> dict[str, str]:
    for number in range(3):
        texts = f"<brief_title>Trial {number}</brief_title><brief_summary><textblock>Tea {number}."
        trial = f"<clinical_study>{texts}</textblock></brief_summary></clinical_study>"
        write(folder / "trials" / f"NCT0000000{number}.xml", trial)
    patients = range(DRAWN // 2)
    topics = [f'<topic number="{n}">{sentence(n)}</topic>' for n in patients]
    write(folder / "topics2022.xml", "<topics>", *topics, "</topics>")
    write(
        folder / "qrels2022.txt", *(f"{n} 0 NCT0000000{k} {k}" for n in patients for k in range(3))
    )
    return {"SOURCE": str(folder), **QUARTERS}


@builder
def text_classify__seer(folder: Path) -> dict[str, str]:
    columns = ["Patient ID", "Sex", "Age", "RX Summ--Surg Prim Site (1998+)", "Radiation recode"]
    columns.append("Chemotherapy recode (yes, no/unk)")
    treatments = (("30", "Beam radiation", "Yes"), ("00", "None/Unknown", "No/Unknown"))
    rows = [(n, "Female", 40 + n // 2, *treatments[n % 2]) for n in range(DRAWN)]
    write_csv(folder / "export.csv", columns, rows)
    return {"SOURCE": str(folder / "export.csv"), **QUARTERS}


@builder
def text_classify__mortality(folder: Path) -> dict[str, str]:
    made = by_split("train", "val", "test", lambda n: (n, f"CHIEF COMPLAINT: {sentence(n)}", n % 2))
    for name, rows in made.items():
        path = folder / f"MP_IN_adm_{name}.csv"
        write_csv(path, ("id", "text", "hospital_expire_flag"), rows)
    return {"SOURCE": str(folder)}


@builder
def image_classify__chexpert(folder: Path) -> dict[str, str]:
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


@builder
def image_classify__rsna_pneumonia(folder: Path) -> dict[str, str]:
    for number in range(DRAWN):
        draw(folder / "png" / f"p{number}.png", number)
    columns = ("patientId", "x", "y", "width", "height", "Target")
    rows = [(f"p{n}", 1, 2, 3, 4, n % 2) for n in range(DRAWN)]
    write_csv(folder / "stage_2_train_labels.csv", columns, rows)
    return {"SOURCE": str(folder), **QUARTERS}


@builder
def image_classify__shenzhen(folder: Path) -> dict[str, str]:
    for number in range(DRAWN):
        draw(folder / "CXR_png" / f"CHNCXR_{number:04}_{number % 2}.png", number)
    return {"SOURCE": str(folder / "CXR_png"), **QUARTERS}


@builder
def image_classify__medmnist(folder: Path) -> dict[str, str]:
    rng = np.random.default_rng(5)
    sizes = {"train": TRAIN, "val": VALID, "test": TEST}
    arrays = {f"{s}_images": rng.integers(0, 255, (n, 28, 28), np.uint8) for s, n in sizes.items()}
    arrays |= {f"{s}_labels": rng.integers(0, 2, (n, 1), np.uint8) for s, n in sizes.items()}
    np.savez(folder / "pneumoniamnist.npz", **arrays)
    return {"NPZ": str(folder / "pneumoniamnist.npz")}


@builder
def image_classify__image_folder(folder: Path) -> dict[str, str]:
    rows = []
    for name, number in numbered("train", "valid", "test"):
        draw(folder / f"{number}.png", number)
        rows.append((f"{number}.png", ("mass", "no finding")[number % 2], name))
    write_csv(folder / "table.csv", ("path", "label", "split"), rows)
    return {"IMAGES": str(folder), "CSV": str(folder / "table.csv")}
