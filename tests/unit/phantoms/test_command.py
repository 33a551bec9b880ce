"""`biomedgpt phantoms` writes every task's column layout."""

import argparse
import json
from pathlib import Path

import pytest

from biomedgpt_fairseq.cli import phantoms as command
from biomedgpt_fairseq.data.answers import parse_references
from biomedgpt_fairseq.data.image import load_image
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.phantoms.rows import LAYOUTS, RowOptions

WIDTHS = {
    "classify": 3,
    "vqa": 6,
    "caption": 5,
    "summary": 2,
    "nli": 4,
    "pretrain": 8,
    "detection": 3,
    "grounding": 4,
}


def run(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(argument) for argument in arguments]))


def write(task: str, folder: Path, *more: str) -> Path:
    sizes = ("--train", "12", "--valid", "4", "--test", "3", "--size", "32")
    assert run("--task", task, "--output", folder, *sizes, *more) == 0
    return folder


@pytest.mark.parametrize("task", WIDTHS)
def test_files_have_the_columns_of_the_task(task: str, tmp_path: Path) -> None:
    folder = write(task, tmp_path)

    for split, rows in (("train", 12), ("valid", 4), ("test", 3)):
        reader = TsvReader(str(folder / f"{split}.tsv"))
        assert len(reader) == rows
        assert {len(row) for row in reader} == {WIDTHS[task]}
    card = json.loads((folder / "card.json").read_text())
    assert (card["task"], card["seed"], card["size"]) == (task, 1, 32)
    assert card["rows"]["train.tsv"] == 12
    assert len((folder / "corpus.txt").read_text().splitlines()) == 12
    assert not list(folder.glob("*.partial*"))


def test_classification_rows_agree_with_the_answers(tmp_path: Path) -> None:
    folder = write("classify", tmp_path)

    answers = json.loads((folder / "answers.json").read_text())
    assert list(answers) == [
        "no finding",
        "mass",
        "effusion",
        "fracture",
        "calcification",
        "haemorrhage",
    ]
    for image, index, label in TsvReader(str(folder / "train.tsv")):
        assert answers[label] == int(index)
        assert load_image(image).size == (32, 32)


def test_modality_classes_are_an_option(tmp_path: Path) -> None:
    folder = write("classify", tmp_path, "--labels", "modality")

    answers = json.loads((folder / "answers.json").read_text())
    assert list(answers)[:3] == ["radiograph", "ct", "mri"]
    assert {row[2] for row in TsvReader(str(folder / "train.tsv"))} <= set(answers)


def test_vqa_answers_are_in_the_closed_set(tmp_path: Path) -> None:
    folder = write("vqa", tmp_path)

    answers = json.loads((folder / "answers.json").read_text())
    for row in TsvReader(str(folder / "train.tsv"), "0,5,2,3,4"):
        references = parse_references(row[3])
        assert set(references) <= set(answers) and list(references.values()) == [1.0]
        assert row[2].endswith("?")


def test_held_out_wordings_are_never_trained_on(tmp_path: Path) -> None:
    sizes = ("--task", "vqa", "--valid", "0", "--test", "6", "--size", "32", "--output")
    with pytest.raises(ValueError, match="add --train 0"):
        run(*sizes, tmp_path / "bad", "--train", "1", "--wordings", "held-out")
    run(*sizes, tmp_path / "a", "--train", "0", "--wordings", "held-out")
    run(*sizes, tmp_path / "b", "--train", "0")

    held_out, plain = (list(TsvReader(str(tmp_path / n / "test.tsv"))) for n in "ab")
    assert json.loads((tmp_path / "a" / "card.json").read_text())["wordings"] == "held-out"
    for ours, theirs in zip(held_out, plain, strict=True):
        assert ours[2] != theirs[2]
        assert [ours[0], ours[1], *ours[3:]] == [theirs[0], theirs[1], *theirs[3:]]


def test_nli_labels_are_balanced(tmp_path: Path) -> None:
    folder = write("nli", tmp_path)

    labels = [row[2] for row in TsvReader(str(folder / "train.tsv"))]
    assert sorted(labels) == ["0"] * 4 + ["1"] * 4 + ["2"] * 4
    first = TsvReader(str(folder / "train.tsv"))[0]
    assert first[3] == f"clinical:{first[0]}"


def test_detection_boxes_lie_in_the_image(tmp_path: Path) -> None:
    folder = write("detection", tmp_path)

    for _, image, labels in TsvReader(str(folder / "train.tsv")):
        width, height = load_image(image).size
        for label in labels.split("&&"):
            *numbers, name = label.split(",", 5)
            x0, y0, x1, y1, category = map(int, numbers)
            assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
            assert 1 <= category <= 6 and name


def test_grounding_asks_for_the_box_of_a_finding(tmp_path: Path) -> None:
    boxes = {
        row[0]: row[2] for row in TsvReader(str(write("detection", tmp_path / "d") / "train.tsv"))
    }
    for row_id, _, text, box in TsvReader(str(write("grounding", tmp_path / "g") / "train.tsv")):
        labels = [label.split(",", 5) for label in boxes[row_id].split("&&")]
        assert box in {",".join(parts[:4]) for parts in labels if parts[5] == text}


def test_pretraining_has_all_kinds_of_rows_and_its_side_files(tmp_path: Path) -> None:
    folder = write("pretrain", tmp_path, "--num-codes", "64")

    rows = {row[7]: row for row in TsvReader(str(folder / "train.tsv"))}
    assert set(rows) == {"caption", "qa", "visual_grounding"}
    assert rows["caption"][2] and not rows["caption"][4]
    assert rows["qa"][3] and rows["qa"][4].startswith("1|!+")
    assert len(rows["visual_grounding"][4].split(",")) == 4
    assert len(TsvReader(str(folder / "text.tsv"))[0]) == 2
    assert len(TsvReader(str(folder / "detection.tsv"))[0]) == 3
    _, image, codes = TsvReader(str(folder / "image.tsv"))[0]
    assert load_image(image).size == (256, 256)
    assert len(codes.split()) == 256 and max(map(int, codes.split())) < 64
    pools = json.loads((folder / "negatives" / "type2ans.json").read_text())
    assert {"other", "how many"} <= set(pools)
    assert "mass" in (folder / "negatives" / "object.txt").read_text().splitlines()
    assert (folder / "negatives" / "all_captions.txt").read_text().splitlines()
    for name in ("text.tsv", "image.tsv", "detection.tsv"):
        shown, held_out = TsvReader(str(folder / name)), TsvReader(str(folder / f"valid_{name}"))
        assert len(held_out) == 1
        assert not {row[1] for row in held_out} & {row[1] for row in shown}


def test_splits_and_seeds_differ_and_repetition_is_exact(tmp_path: Path) -> None:
    first = write("classify", tmp_path / "a")
    again = write("classify", tmp_path / "b")
    other = write("classify", tmp_path / "c", "--seed", "2")

    train = (first / "train.tsv").read_bytes()
    assert train == (again / "train.tsv").read_bytes()
    assert train != (other / "train.tsv").read_bytes()
    assert not set(TsvReader(str(first / "train.tsv")).column(0)) & set(
        TsvReader(str(first / "valid.tsv")).column(0)
    )


def test_more_rows_leave_the_first_rows_as_they_are(tmp_path: Path) -> None:
    short = write("vqa", tmp_path / "a")
    run("--task", "vqa", "--output", tmp_path / "b", "--train", "20", "--size", "32")

    longer = (tmp_path / "b" / "train.tsv").read_bytes()
    assert longer.startswith((short / "train.tsv").read_bytes())


def test_split_without_rows_has_no_file(tmp_path: Path) -> None:
    run("--task", "summary", "--output", tmp_path, "--train", "2", "--valid", "0", "--test", "0")

    assert not (tmp_path / "valid.tsv").exists()


def test_negative_counts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        write("classify", tmp_path, "--train", "-1")


@pytest.mark.parametrize("task", LAYOUTS)
def test_row_needs_no_other_rows(task: str) -> None:
    options = RowOptions(seed=5, side=32)

    assert LAYOUTS[task].make_row(options, 9) == LAYOUTS[task].make_row(options, 9)
