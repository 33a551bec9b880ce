"""The shared conversion: splits, answers, rejects, resuming."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from biomedgpt_fairseq.data.tsv import TsvReader
from data_utils.converter import parse_share, parse_splits
from data_utils.corpus import Corpus, CorpusOptions, assign_splits, convert_corpus
from data_utils.layouts import (
    SUMMARY,
    TEXT_CLASSIFY,
    VQA,
    Record,
    as_texts,
    classified_text,
    summary,
    vqa,
)
from data_utils.splits import Leak
from data_utils.writer import RejectedItem


def cases(split: str, labels: Sequence[str], group: str = "") -> list[Record]:
    return [
        classified_text(f"{split}{n}", (f"{split} text {n}", ""), label, split, group)
        for n, label in enumerate(labels)
    ]


def convert(records: list[Record], output: Path, **options: object) -> dict[str, object]:
    corpus = Corpus("test", TEXT_CLASSIFY, records)
    convert_corpus(corpus, output, CorpusOptions(**options))  # type: ignore[arg-type]
    card: dict[str, object] = json.loads((output / "card.json").read_text())
    return card


def test_answers_are_those_of_written_training_rows(tmp_path: Path) -> None:
    records = cases("train", "ba") + cases("valid", "c") + cases("test", "ad")
    records.append(classified_text("x", ("test text 0", ""), "e", "train"))

    card = convert(records, tmp_path, on_leak="drop")

    assert json.loads((tmp_path / "answers.json").read_text()) == {"b": 0, "a": 1}
    answers = card["answers"]
    assert isinstance(answers, dict)
    assert answers["rows_outside"] == {"train": 0, "valid": 1, "test": 1}


def test_answers_of_a_missing_split_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no split 'valid'; found .'train'"):
        convert(cases("train", "a"), tmp_path, valid_share=0, answers_from=("valid",))


def test_validation_is_not_drawn_when_given(tmp_path: Path) -> None:
    convert(cases("train", "a" * 20) + cases("valid", "a"), tmp_path)

    assert len(TsvReader(str(tmp_path / "train.tsv"))) == 20
    assert not (tmp_path / "splits.json").exists()


def test_splits_for_some_items_only_are_an_error() -> None:
    records = [summary("a", "x", "y", "train"), summary("b", "z", "y")]

    with pytest.raises(ValueError, match="1 of 2 items have a split"):
        assign_splits(records, ["1", "2"], SUMMARY, CorpusOptions())


def test_groups_stay_together_in_drawn_splits() -> None:
    records = [summary(str(n), str(n), "y", group=f"patient {n % 10}") for n in range(40)]

    placed = assign_splits(records, [str(n) for n in range(40)], SUMMARY, CorpusOptions())

    for number in range(10):
        assert len({record.split for record in placed[number::10]}) == 1


def test_rejects_are_counted_with_reasons(tmp_path: Path) -> None:
    items: list[Record | RejectedItem] = [
        *cases("train", "a"),
        RejectedItem("q", "not English"),
        *cases("train", ["", " "]),
    ]
    convert_corpus(Corpus("test", TEXT_CLASSIFY, items), tmp_path, CorpusOptions(valid_share=0))

    card = json.loads((tmp_path / "card.json").read_text())
    assert card["rejected"] == {"not English": 1, "empty label": 2}
    assert card["rejects"][0] == ["q", "not English"]


def test_nothing_but_rejects_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no item gives a row; rejected: {'empty label': 1}"):
        convert(cases("train", [""]), tmp_path)


def test_unchanged_conversion_is_not_written_again(tmp_path: Path) -> None:
    records = cases("train", "a") + cases("test", "a")
    convert(records, tmp_path, valid_share=0)
    before = (tmp_path / "train.tsv").stat().st_mtime_ns

    convert(records, tmp_path, valid_share=0)
    assert (tmp_path / "train.tsv").stat().st_mtime_ns == before
    more = classified_text("n", ("new", ""), "a", "train")
    convert([*records, more], tmp_path, valid_share=0)
    assert len(TsvReader(str(tmp_path / "train.tsv"))) == 2


def test_files_of_another_conversion_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    convert(cases("train", "a" * 20), tmp_path)

    with pytest.raises(ValueError, match="holds valid.tsv of an earlier conversion"):
        convert(cases("train", "a" * 20), tmp_path, valid_share=0)


def test_leak_names_one_row_of_each_split() -> None:
    leak = Leak("key", (("train", 0), ("train", 4), ("train", 5), ("test", 2)))

    assert str(leak) == "train row 1 (and 2 more) = test row 3"


@pytest.mark.parametrize("answer", ["a&&b", "x&&0.5|!+y"])
def test_answer_that_holds_a_separator_is_a_fault(answer: str) -> None:
    record = vqa("1", Path("a.jpg"), ("Which?", answer), "train")

    assert as_texts(record, VQA)[1] == "the answer holds &&"


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_share_outside_of_its_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="--valid-share must be at least 0 and below 1"):
        parse_share(share)


def test_split_names_are_checked() -> None:
    assert parse_splits("train, val") == ("train", "valid")
    with pytest.raises(ValueError, match="expected some of train, valid, test"):
        parse_splits("all")
