"""MIMIC-CXR and MIMIC-III reports, on look-alikes."""

import csv
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils import mimic_cxr, mimic_iii
from data_utils.report_sections import split_sections

REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ year old with cough // pneumonia?

 FINDINGS: 

 Heart size is {0}. Note: no effusion
 is seen.

 IMPRESSION: 

 {1}
"""


def write_reports(folder: Path) -> Path:
    """Two reports for each of ten patients, and one without findings."""
    for number in range(20):
        patient = folder / "files" / "p10" / f"p1000{number // 2:04}"
        patient.mkdir(parents=True, exist_ok=True)
        text = REPORT.format(f"{number} cm", f"Case {number}.")
        (patient / f"s5{number:03}.txt").write_text(text)
    (patient / "s5999.txt").write_text(" IMPRESSION:\n Normal.\n")
    return folder


def test_sections_end_at_the_next_heading() -> None:
    sections = split_sections(REPORT.format("[**Known\nlastname 12**]", "Fine."))

    assert list(sections) == ["EXAMINATION", "INDICATION", "FINDINGS", "IMPRESSION"]
    assert sections["FINDINGS"] == "Heart size is ___. Note: no effusion\n is seen."
    assert sections["IMPRESSION"] == "Fine."


def test_cxr_splits_are_drawn_by_patient(tmp_path: Path, convert: Callable[..., Any]) -> None:
    made = convert(mimic_cxr.CONVERTER, write_reports(tmp_path))

    assert made.counts() == {"train": 16, "valid": 2, "test": 2}
    assert made.json("card")["rejected"] == {"no section of findings": 1}
    for studies in made.json("splits").values():
        numbers = {int(study) for study in studies}
        assert {number ^ 1 for number in numbers} == numbers


def test_cxr_official_splits(tmp_path: Path, convert: Callable[..., Any]) -> None:
    table = tmp_path / "mimic-cxr-2.0.0-split.csv.gz"
    with gzip.open(table, "wt") as stream:
        stream.write("dicom_id,study_id,subject_id,split\n")
        for number, split in enumerate(["train", "train", "validate", "test"]):
            stream.write(f"d{number},5{number:03},10000000,{split}\n")

    words = ("--split-list", str(table))
    made = convert(mimic_cxr.CONVERTER, write_reports(tmp_path / "in"), *words)

    assert made.counts() == {"train": 2, "valid": 1, "test": 1}
    assert made.rows("test") == [["Heart size is 3 cm. Note: no effusion is seen.", "Case 3."]]
    assert made.json("card")["rejected"] == {"not in the split list": 17}


@pytest.mark.parametrize("name", ["NOTEEVENTS.csv", "NOTEEVENTS.csv.gz"])
def test_mimic_iii_takes_radiology_notes(
    name: str, tmp_path: Path, convert: Callable[..., Any]
) -> None:
    path = tmp_path / name
    with (
        gzip.open(path, "wt", newline="")
        if name.endswith("gz")
        else path.open("w", newline="") as stream
    ):
        writer = csv.writer(stream)
        writer.writerow(mimic_iii.COLUMNS)
        for number in range(20):
            text = REPORT.format(f"{number} cm", f'Case "{number}".')
            kind = "CT HEAD W/O CONTRAST" if number < 10 else "CHEST (PORTABLE AP)"
            writer.writerow([number, number, "Radiology", kind, "", text])
        writer.writerow([20, 20, "Nursing", "Report", "", "slept"])
        writer.writerow([21, 21, "Radiology", "CT HEAD", "1", REPORT])

    made = convert(mimic_iii.CONVERTER, path, "--description", "^ct head")

    assert made.counts() == {"train": 8, "valid": 1, "test": 1}
    assert made.json("card")["rejected"] == {
        "another kind of examination": 10,
        "not a radiology note": 1,
        "marked as an error": 1,
    }
