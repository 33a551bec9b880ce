"""Summaries of questions and of consultations."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils import indiana_reports, meddialog, meqsum

BLOCK = """id={0}
https://www.example.org/{0}
Description
Q. What helps against cough number {0}?
Dialogue
Patient:
I cough\tsince
week {0}.

Doctor:
Drink tea {0}.

"""


@pytest.mark.parametrize("name", ["healthcaremagic_dialogue_1.txt", "icliniq_dialogue.txt"])
def test_dialogue_is_the_source_and_description_the_target(
    name: str, tmp_path: Path, convert: Callable[..., Any]
) -> None:
    text = "".join(BLOCK.format(number) for number in range(1, 21))
    broken = "id=21\nDescription\nQ. Only this\n\nid=22\nDescription\nQ. \nDialogue\nPatient:\nHi\n"
    (tmp_path / name).write_text((text + broken).replace("\n", "\r\n"), newline="")

    made = convert(meddialog.CONVERTER, tmp_path, "--set", name.split("_")[0])

    assert made.counts() == {"train": 16, "valid": 2, "test": 2}
    first = min(made.rows("train"), key=lambda row: len(row[0]))
    assert first[0].startswith("Patient: I cough since week ")
    assert first[1].startswith("What helps against cough number ")
    rejected = made.json("card")["rejected"]
    assert rejected == {"no description and dialogue": 1, "empty target": 1}


def test_equal_dialogues_stay_in_one_split(tmp_path: Path, convert: Callable[..., Any]) -> None:
    blocks = [BLOCK.format(n // 2).replace("id=", f"id={n}") for n in range(40)]
    (tmp_path / "icliniq_dialogue.txt").write_text("".join(blocks))

    made = convert(meddialog.CONVERTER, tmp_path / "icliniq_dialogue.txt", "--set", "icliniq")

    assert made.counts() == {"train": 32, "valid": 4, "test": 4}
    assert made.json("card")["leaks"]["shared"] == 0


def test_folder_without_dialogues_is_an_error(tmp_path: Path, convert: Callable[..., Any]) -> None:
    with pytest.raises(FileNotFoundError, match="expected icliniq"):
        convert(meddialog.CONVERTER, tmp_path, "--set", "icliniq")


@pytest.mark.shared
def test_meqsum_tables(shared_dir: Path, convert: Callable[..., Any]) -> None:
    made = convert(meqsum.CONVERTER, shared_dir / "data" / "meqsum")

    assert made.counts() == {"train": 800, "valid": 100, "test": 60}
    assert (
        made.rows("test")[0][1] == "What causes ringing in the ear, and can aspirin affect the ear?"
    )
    assert not (made.folder / "answers.json").exists()


@pytest.mark.shared
def test_meqsum_workbook(shared_dir: Path, convert: Callable[..., Any]) -> None:
    made = convert(meqsum.CONVERTER, shared_dir / "data" / "meqsum" / "MeQSum_ACL2019.xlsx")

    counts = made.counts()
    assert sum(counts.values()) == 960 and counts["valid"] == counts["test"] == 96
    card = made.json("card")
    assert card["rejected"] == {} and card["leaks"]["shared"] == 0


@pytest.mark.shared
def test_indiana_reports(shared_dir: Path, convert: Callable[..., Any]) -> None:
    source = shared_dir / "data" / "indiana_reports" / "indiana_dev.json"
    made = convert(indiana_reports.CONVERTER, source)

    counts = made.counts()
    assert sum(counts.values()) == 1800
    assert abs(counts["valid"] - 180) < 10 and abs(counts["test"] - 180) < 10
    # 319 reports repeat the findings of another one; none of them crosses.
    assert made.json("card")["leaks"]["shared"] == 0


def test_reports_without_an_impression_are_rejected(
    tmp_path: Path, convert: Callable[..., Any]
) -> None:
    rows = [{"study_id": n, "findings": f"Lungs {n}.", "impression": f"I {n}"} for n in range(10)]
    rows[3]["impression"] = None
    (tmp_path / "reports.json").write_text(json.dumps(rows))

    made = convert(indiana_reports.CONVERTER, tmp_path / "reports.json")

    assert sum(made.counts().values()) == 9
    assert made.json("card")["rejects"] == [["3", "empty target"]]
    assert "3" not in sum(made.json("splits").values(), [])


def test_tables_of_questions(tmp_path: Path, convert: Callable[..., Any]) -> None:
    for name in meqsum.FILES:
        (tmp_path / f"{name}.tsv").write_text(f"Long {name}\tShort {name}\nAlone\t\n")

    made = convert(meqsum.CONVERTER, tmp_path)

    assert made.rows("valid") == [["Long val", "Short val"]]
    assert made.json("card")["rejected"] == {"empty target": 3}
