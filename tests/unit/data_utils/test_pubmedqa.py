"""PubMedQA."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils.pubmedqa import CONVERTER


@pytest.mark.shared
def test_expert_labelled_part(shared_dir: Path, convert: Callable[..., Any]) -> None:
    made = convert(CONVERTER, shared_dir / "data" / "pubmedqa")

    assert made.counts() == {"train": 449, "valid": 51, "test": 380}
    row = made.rows("train")[0]
    assert row[0] == "Can tailored interventions increase mammography use among HMO women?"
    assert len(row[1]) > 500 and row[2] == "yes"
    assert sorted(made.json("answers")) == ["maybe", "no", "yes"]
    shares = [Counter(row[2] for row in made.rows(split)) for split in ("train", "valid")]
    assert all(abs(shares[0][word] / 450 - shares[1][word] / 50) < 0.02 for word in shares[0])


def test_abstract_is_the_second_text(tmp_path: Path, convert: Callable[..., Any]) -> None:
    decisions = dict(zip("123", ("yes", "no", ""), strict=True))
    items = {
        pmid: {"QUESTION": f"Is it {pmid}?", "CONTEXTS": ["One.", "Two."], "final_decision": label}
        for pmid, label in decisions.items()
    }
    (tmp_path / "ori_pqal.json").write_text(json.dumps(items))
    (tmp_path / "test_ground_truth.json").write_text(json.dumps({"2": "no"}))

    made = convert(CONVERTER, tmp_path, "--valid-share", "0")

    assert made.rows("train") == [["Is it 1?", "One. Two.", "yes"]]
    assert made.rows("test") == [["Is it 2?", "One. Two.", "no"]]
    assert made.json("card")["rejected"] == {"empty label": 1}
