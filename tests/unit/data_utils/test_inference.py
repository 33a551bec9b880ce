"""MedNLI and RQE."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils import mednli, rqe

LABELS = ["entailment", "contradiction", "neutral", "-"]


def write_mednli(folder: Path) -> Path:
    for name in mednli.SPLITS:
        rows = [
            {
                "pairID": f"{name}{number}",
                "sentence1": f"  {name} patient\nhas {number}.",
                "sentence2": "Is ill",
                "gold_label": label,
            }
            for number, label in enumerate(LABELS)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"mli_{name}_v1.jsonl").write_text(lines)
    return folder


def test_mednli_labels(tmp_path: Path, convert: Callable[..., Any]) -> None:
    made = convert(mednli.CONVERTER, write_mednli(tmp_path))

    assert made.rows("valid") == [
        ["dev patient has 0.", "Is ill", "1", "clinical:dev patient has 0."],
        ["dev patient has 1.", "Is ill", "2", "clinical:dev patient has 1."],
        ["dev patient has 2.", "Is ill", "0", "clinical:dev patient has 2."],
    ]
    card = made.json("card")
    assert card["rejected"] == {"no gold label": 3} and card["options"]["task"] == "mnli"


def test_pairs_in_two_splits_are_dropped_from_the_earlier(
    tmp_path: Path, convert: Callable[..., Any]
) -> None:
    write_mednli(tmp_path)
    row = {"pairID": "x", "sentence1": "TEST patient has 0.", "sentence2": "is  ill"}
    with (tmp_path / "mli_train_v1.jsonl").open("a") as stream:
        stream.write(json.dumps(row | {"gold_label": "neutral"}))

    with pytest.raises(ValueError, match="train row 4 = test row 1"):
        convert(mednli.CONVERTER, tmp_path)
    made = convert(mednli.CONVERTER, tmp_path, "--on-leak", "drop")
    assert made.counts() == {"train": 3, "valid": 3, "test": 3}


def test_rqe_labels_are_chosen(tmp_path: Path, convert: Callable[..., Any]) -> None:
    for name in ("Train", "Test"):
        pairs = "".join(
            f'<pair pid="{n}" value="{value}"><chq>\n {name} {n}?\n</chq>'
            "<faq>b &amp; c?</faq></pair>"
            for n, value in enumerate(["true", "false", "unknown"])
        )
        (tmp_path / f"RQE_{name}_8588_AMIA2016.xml").write_text(f"<rqe>{pairs}</rqe>")

    made = convert(rqe.CONVERTER, tmp_path, "--valid-share", "0")
    assert [row[:3] for row in made.rows("test")] == [
        ["Test 0?", "b & c?", "1"],
        ["Test 1?", "b & c?", "0"],
    ]
    assert made.json("card")["rejected"] == {"value is neither true nor false": 2}
    made = convert(rqe.CONVERTER, tmp_path, "--valid-share", "0", "--false-label", "2")
    assert [row[2] for row in made.rows("test")] == ["1", "2"]


def test_broken_xml_names_the_file(tmp_path: Path, convert: Callable[..., Any]) -> None:
    (tmp_path / "RQE_Train.xml").write_text("<rqe><pair>")

    with pytest.raises(ValueError, match="RQE_Train.xml is not valid XML"):
        convert(rqe.CONVERTER, tmp_path)


@pytest.mark.shared
def test_rqe_as_published(shared_dir: Path, convert: Callable[..., Any]) -> None:
    made = convert(rqe.CONVERTER, shared_dir / "data" / "rqe")

    counts = made.counts()
    assert made.json("card")["rejected"] == {"empty sentence2": 1}
    assert counts["train"] + counts["valid"] == 8286 - 1 and counts["test"] == 202
    assert abs(counts["valid"] - 829) < 20
    labels = [row[2] for row in made.rows("test")]
    assert (labels.count("1"), labels.count("0")) == (85, 117)
