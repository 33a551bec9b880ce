"""PMC-VQA."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils.pmc_vqa import CONVERTER, answer_text

HEADER = "Figure_path,Question,Choice A,Choice B,Choice C,Choice D,Answer\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("B", "Liver"), ("A:Lung", "Lung"), (" C: Spleen", "Spleen"), ("Vitamin D", "Vitamin D")],
)
def test_letters_stand_for_choices(answer: str, expected: str) -> None:
    row = {"Answer": answer, "Choice B": " B: Liver"}

    assert answer_text(row).strip() == expected


@pytest.mark.parametrize(
    ("version", "ending", "folder"), [("2", "_2", "figures"), ("1", "", "images")]
)
def test_both_versions(
    version: str,
    ending: str,
    folder: str,
    tmp_path: Path,
    draw: Callable[..., Path],
    convert: Callable[..., Any],
) -> None:
    for number, split in enumerate(("train", "test")):
        draw(tmp_path / folder / f"{split}.jpg", number)
        lines = f'{split}.jpg,"Which, here?",A:x,B:the liver,C:y,D:z,B\n'
        (tmp_path / f"{split}{ending}.csv").write_text(HEADER + lines)

    made = convert(CONVERTER, tmp_path, "--version", version, "--valid-share", "0")

    assert made.rows("test", "0,2,3") == [["test_0", "Which, here?", "1|!+the liver"]]
    assert made.json("card")["options"]["version"] == int(version)


def test_missing_column_is_named(tmp_path: Path, convert: Callable[..., Any]) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "train_2.csv").write_text("Figure_path,Question\n")

    with pytest.raises(ValueError, match="train_2.csv: expected the columns .'Answer'."):
        convert(CONVERTER, tmp_path)
