"""Main pretraining rows, on look-alikes and on VQA-RAD and the COVID-19 x-rays."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from biomedgpt_fairseq.data.negatives import load_negatives
from biomedgpt_fairseq.data.pretrain_rows import MAIN_COLUMNS
from data_utils.pretraining import negatives, pairs

TEXT_COLUMNS = "0,2,3,4,5,6,7"


def test_columns_are_those_of_the_task() -> None:
    assert pairs.COLUMNS == MAIN_COLUMNS


def write_slake(folder: Path, draw: Callable[..., Path]) -> Path:
    for number, name in enumerate(("train", "validate", "test")):
        draw(folder / "imgs" / f"xmlab{number}" / "source.jpg", number)
        row = {
            "qid": number,
            "img_name": f"xmlab{number}/source.jpg",
            "question": "What organ?",
            "answer": "Liver",
            "q_lang": "en",
            "location": "Abdomen",
        }
        rows = [row, {**row, "qid": 10 + number, "q_lang": "zh"}]
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return folder


def test_questions_of_test_splits_are_left_out(
    tmp_path: Path, draw: Callable[..., Path], work: Callable[..., Any]
) -> None:
    made = work(pairs.KIND, "slake", write_slake(tmp_path / "slake", draw))

    row = ["", "What organ?", "1|!+Liver", "Abdomen", "slake", "qa"]
    assert made.rows(TEXT_COLUMNS) == [["slake_0", *row]]
    assert made.rows(TEXT_COLUMNS, "valid") == [["slake_1", *row]]
    assert made.card["rejected"] == {"not English": 3, "of the test split": 1}


def test_medicat_captions_lose_the_label_of_the_figure(
    tmp_path: Path, draw: Callable[..., Path], work: Callable[..., Any]
) -> None:
    captions = ["Figure 2. CT of e.g. a liver.", "FIG 1A: MRI", "An x-ray.", None, "Fig. 3"]
    lines = []
    for number, text in enumerate(captions):
        row = {"pdf_hash": "abc", "fig_uri": f"{number}-Figure1-1.png", "s2_caption": text}
        lines.append(json.dumps({**row, "radiology": number != 2}))
        draw(tmp_path / "medicat" / "figures" / f"abc_{number}-Figure1-1.png", number)
    draw(tmp_path / "x.png", 0).rename(tmp_path / "medicat" / "figures" / "abc_1-Figure1-1.png")
    (tmp_path / "medicat" / "figures" / "abc_1-Figure1-1.png").write_bytes(b"no picture")
    (tmp_path / "medicat" / "all.jsonl").write_text("\n".join(lines))

    made = work(pairs.KIND, "medicat", tmp_path / "medicat")

    assert [row[1] for row in made.rows("0,2")] == ["CT of e.g. a liver.", "An x-ray."]
    assert made.rows("0,6,7")[0] == ["medicat_medicat_abc_0-Figure1-1", "medicat", "caption"]
    rejected = {"empty caption": 2, "not a readable picture": 1}
    assert made.card["rejected"] == rejected

    made = work(pairs.KIND, "medicat", tmp_path / "medicat", "--radiology-only")
    assert [row[0] for row in made.rows("2")] == ["CT of e.g. a liver."]


def write_iu_xray(folder: Path, draw: Callable[..., Path]) -> Path:
    draw(folder / "iu_xray_images" / "CXR1_1.png", 1)
    (folder / "train_images.tsv").write_text("CXR1_1.png\tClear lungs.\n")
    (folder / "test_images.tsv").write_text("CXR2_1.png\tOther.\n")
    return folder


def test_captions_of_a_fine_tuning_set(
    tmp_path: Path, draw: Callable[..., Path], work: Callable[..., Any]
) -> None:
    made = work(pairs.KIND, "iu_xray", write_iu_xray(tmp_path / "iu", draw))

    row = ["iu_xray_200_CXR1_1", "Clear lungs.", "", "", "", "iu_xray", "caption"]
    assert made.rows(TEXT_COLUMNS) == [row]


def test_wrong_answers_are_collected(tmp_path: Path) -> None:
    table = tmp_path / "main.tsv"
    rows = [
        ("Lungs.", "", "", "", "caption"),
        ("", "How many?", "0.4|!+2&&0.9|!+3", "lung&&heart", "qa"),
        ("", "Is it?", "1|!+yes", "", "qa"),
        ("nodule", "", "1,2,3,4", "", "visual_grounding"),
    ]
    lines = ["\t".join(("id", "image", *row[:4], "set", row[4])) for row in rows]
    table.write_text("\n".join(lines) + "\n")
    parser = negatives._build_parser()

    negatives._run(parser.parse_args([str(table), "--output", str(tmp_path / "neg")]))

    found = load_negatives(tmp_path / "neg")
    assert found.answers == {"other": ["3", "yes"], "how many": ["3"], "yes or no": ["yes"]}
    assert found.captions == ["Lungs."] and found.objects == ["lung", "heart", "nodule"]


@pytest.mark.shared
def test_vqa_rad_gives_its_training_questions(shared_dir: Path, work: Callable[..., Any]) -> None:
    source = shared_dir / "data" / "vqa-rad"

    # A part of it: pictures are decoded for each row.
    made = work(pairs.KIND, "vqa_rad", source, "--shards", "20", "--shard", "0")

    card = json.loads((made.folder / "card-00000-of-00020.json").read_text("utf-8"))
    assert card["items"] == 153 and card["rejected"] == {"of the test split": 20}
    rows = made.rows("2,6,7", split="train-00000-of-00020")
    assert len(rows) == 133 and {tuple(row) for row in rows} == {("", "vqa_rad", "qa")}


@pytest.mark.shared
def test_lungs_are_regions(shared_dir: Path, work: Callable[..., Any]) -> None:
    source = shared_dir / "data" / "covid_chestxray"

    part = ("--shards", "10", "--shard", "0")
    name = "train-00000-of-00010"
    whole = work(pairs.KIND, "covid_lungs", source, *part).rows(TEXT_COLUMNS, name)
    small = work(pairs.KIND, "covid_lungs", source, *part, "--max-side", "128")
    small = small.rows(TEXT_COLUMNS, name)

    assert len(whole) == 48 and whole[0][1] == "Right Lung" and whole[0][6] == "visual_grounding"
    for row, reduced in zip(whole, small, strict=True):
        box, half = ([float(x) for x in text[3].split(",")] for text in (row, reduced))
        assert half[3] == pytest.approx(box[3] / 4, rel=0.02, abs=2) or half[3] < box[3]
