"""COVID chest x-rays and Evidence Inference, on the public files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils import covid_chestxray, evidence_inference


@pytest.mark.shared
def test_covid_notes_are_captions(shared_dir: Path, convert: Callable[..., Any]) -> None:
    source = shared_dir / "data" / "covid_chestxray"

    made = convert(covid_chestxray.CONVERTER, source)

    assert sum(made.counts().values()) == 216
    card = made.json("card")
    assert card["rejected"] == {"empty caption": 81}
    assert card["groups_shared"] == 0 and card["leaks"]["shared"] == 0
    row = made.rows("train", "0,1,2,3")[0]
    assert row == [
        "covid_ARDSSevere",
        "ARDSSevere.jpg",
        "Severe ARDS. Person is intubated with an OG in place.",
        "",
    ]


@pytest.mark.shared
def test_covid_pictures_are_chosen_by_licence(
    shared_dir: Path, convert: Callable[..., Any]
) -> None:
    source = shared_dir / "data" / "covid_chestxray"

    made = convert(covid_chestxray.CONVERTER, source, "--licenses", "^CC BY(?!-NC)")

    assert made.json("card")["rejected"]["another licence"] == 153 + 57


def test_covid_splits_are_drawn_by_patient(
    tmp_path: Path, draw: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    lines = ["patientid,filename,clinical_notes,folder,license"]
    for number in range(20):
        draw(tmp_path / "images" / f"{number}.jpg", number)
        lines.append(f"{number // 2},{number}.jpg,cough {number},images,CC BY")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))

    made = convert(covid_chestxray.CONVERTER, tmp_path)

    assert made.counts() == {"train": 16, "valid": 2, "test": 2}
    assert made.json("card")["groups_shared"] == 0


@pytest.mark.shared
def test_evidence_labels_have_one_spelling(shared_dir: Path, convert: Callable[..., Any]) -> None:
    source = shared_dir / "data" / "evidence_inference" / "annotations"

    made = convert(evidence_inference.CONVERTER, source)

    assert made.counts() == {"train": 3898, "valid": 468, "test": 162}
    assert sorted(made.json("answers")) == sorted(evidence_inference.CLASSES)
    card = made.json("card")
    assert card["rejected"] == {} and card["groups_shared"] == 0


def test_evidence_needs_prompt_article_and_label(
    tmp_path: Path, convert: Callable[..., Any]
) -> None:
    (tmp_path / "splits").mkdir()
    for number, name in enumerate(evidence_inference.SPLITS):
        (tmp_path / "splits" / f"ev2_{name}_article_ids.txt").write_text(f"{number}\n")
    prompts = ["PromptID,Outcome,Intervention,Comparator", "5,pain ,drug,placebo"]
    (tmp_path / "prompts_merged.csv").write_text("\n".join(prompts))
    rows = ["PromptID,PMCID,Label,Annotations"]
    rows += [f"5,{n},significantly increase{'d' * n},text {n}" for n in (0, 1)]
    rows += ["5,2,no significant difference,text 2", "5,0,unclear,x", "6,0,significantly,x"]
    (tmp_path / "v2_annotations.csv").write_text("\n".join(rows))

    made = convert(evidence_inference.CONVERTER, tmp_path)

    question = "pain: drug compared with placebo"
    assert made.rows("train") == [["text 0", question, "significantly increased"]]
    assert made.counts() == {"train": 1, "valid": 1, "test": 1}
    assert made.json("card")["rejected"] == {"unknown prompt, article or label": 2}

    made = convert(evidence_inference.CONVERTER, tmp_path, "--evidence-only")

    assert made.rows("train") == [["text 0", "", "significantly increased"]]
