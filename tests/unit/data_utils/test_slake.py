"""SLAKE."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_utils.slake import CONVERTER


def test_english_rows_keep_their_case(
    tmp_path: Path, draw: Callable[..., Path], convert: Callable[..., Any]
) -> None:
    files = [("train.json", "xmlab0"), ("validate.json", "xmlab1"), ("test.json", "xmlab2")]
    for number, (name, folder) in enumerate(files):
        draw(tmp_path / "imgs" / folder / "source.jpg", number)
        english = {
            "qid": number,
            "img_name": f"{folder}/source.jpg",
            "question": "What organ?",
            "answer": "Lung",
            "q_lang": "en",
            "location": "Chest",
        }
        chinese = english | {"qid": 100 + number, "q_lang": "zh", "answer": "肺"}
        (tmp_path / name).write_text(json.dumps([english, chinese]), encoding="utf-8")

    made = convert(CONVERTER, tmp_path)

    assert made.counts() == {"train": 1, "valid": 1, "test": 1}
    expected = ["2", "xmlab2/source.jpg", "What organ?", "1|!+Lung", "Chest"]
    assert made.rows("test")[0][:5] == expected
    assert made.json("card")["rejected"] == {"not English": 3}
    assert made.json("answers") == {"Lung": 0}
    assert not (made.folder / "splits.json").exists()
