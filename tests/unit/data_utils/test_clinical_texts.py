"""TREC clinical trials, SEER, in-hospital mortality, on look-alikes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils import mortality, seer, trec_trials

TRIAL = """<clinical_study><brief_title>Trial {0}</brief_title>
<brief_summary><textblock>
  About {0}.
</textblock></brief_summary>
<eligibility><criteria><textblock>Adults</textblock></criteria></eligibility></clinical_study>"""


def write_trec(folder: Path) -> Path:
    """Ten patients, three judged trials each."""
    for number in range(3):
        path = folder / "trials" / "NCT0000xxxx" / f"NCT0000000{number}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TRIAL.format(number))
    topics = "".join(f'<topic number="{n}">\nPatient {n}.\n</topic>' for n in range(10))
    (folder / "topics2022.xml").write_text(f"<topics>{topics}</topics>")
    lines = [f"{n} 0 NCT0000000{k} {k}\n" for n in range(10) for k in range(3)]
    lines += ["0 0 NCT99999999 1\n", "77 0 NCT00000000 1\n"]
    (folder / "qrels2022.txt").write_text("".join(lines))
    return folder


def test_trec_splits_by_patient(tmp_path: Path, convert: Callable[..., Any]) -> None:
    made = convert(trec_trials.CONVERTER, write_trec(tmp_path))

    assert made.counts() == {"train": 24, "valid": 3, "test": 3}
    patient, trial, label = made.rows("test")[1]
    assert patient.startswith("Patient ") and trial == "Trial 1 About 1. Adults"
    assert label == "excluded"
    assert len({row[0] for row in made.rows("test")}) == 1
    assert made.json("answers") == {"not relevant": 0, "excluded": 1, "eligible": 2}
    card = made.json("card")
    assert card["rejected"] == {"no such trial": 1, "unknown topic or relevance": 1}


def test_trec_judgement_of_another_form_is_an_error(
    tmp_path: Path, convert: Callable[..., Any]
) -> None:
    (write_trec(tmp_path) / "qrels2022.txt").write_text("1 NCT00000000 2\n")

    with pytest.raises(ValueError, match="qrels2022.txt:1: expected topic, 0, trial"):
        convert(trec_trials.CONVERTER, tmp_path)


HEADER = (
    "Patient ID,Sex,Grade,RX Summ--Surg Prim Site (1998+),Radiation recode,"
    '"Chemotherapy recode (yes, no/unk)"'
)


def write_seer(folder: Path) -> Path:
    """Cases of the four kinds below, then one of unknown surgery."""
    kinds = ["30,Beam radiation,Yes", "00,None/Unknown,No/Unknown", "22,None/Unknown,Yes"]
    cases = [f"{n},Female,,{kinds[n % 3]}" for n in range(30)]
    lines = [HEADER, *cases, "30,Male,II,99,Beam radiation,Yes"]
    lines[1] = lines[1].replace("Female,", "Male,Grade II")
    path = folder / "export.csv"
    path.write_text("\n".join(lines))
    return path


def test_seer_treatments_are_joined(tmp_path: Path, convert: Callable[..., Any]) -> None:
    path = write_seer(tmp_path)

    made = convert(seer.CONVERTER, path, "--fractions", "1,0,0", "--on-leak", "keep")

    assert made.rows("train")[:3] == [
        ["Sex: Male; Grade: Grade II", "", "surgery, radiation, chemotherapy"],
        ["Sex: Female", "", "none"],
        ["Sex: Female", "", "surgery, chemotherapy"],
    ]
    assert made.json("card")["rejected"] == {"unknown surgery": 1}


def test_seer_columns_are_chosen(tmp_path: Path, convert: Callable[..., Any]) -> None:
    words = ("--columns", "Grade; Sex", "--fractions", "1,0,0")
    made = convert(seer.CONVERTER, write_seer(tmp_path), *words)

    assert made.rows("train")[0][0] == "Grade: Grade II; Sex: Male"
    with pytest.raises(ValueError, match="expected the columns .'Stage'."):
        convert(seer.CONVERTER, tmp_path / "export.csv", "--columns", "Stage")


def test_mortality_labels(tmp_path: Path, convert: Callable[..., Any]) -> None:
    for name in mortality.SPLITS:
        lines = [
            "id,text,hospital_expire_flag",
            f'1,"CHIEF COMPLAINT: pain\n\n{name}",0',
            f"2,{name} fall,1",
            "3,x,",
        ]
        (tmp_path / f"MP_IN_adm_{name}.csv").write_text("\n".join(lines))

    made = convert(mortality.CONVERTER, tmp_path)

    assert made.rows("valid") == [
        ["CHIEF COMPLAINT: pain val", "", "survived"],
        ["val fall", "", "died"],
    ]
    assert made.json("card")["rejected"] == {"flag is neither 0 nor 1": 3}
