"""Leak check and assignment to splits."""

import base64
import io
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from data_utils.partition import assign_by_group, assign_by_label, parse_fractions
from data_utils.splits import (
    _build_parser,
    _run,
    decide_leaks,
    find_leaks,
    split_name,
    text_key,
)

KEYS = {"train": ["a", "b", "c", "b"], "valid": ["d", "b"], "test": ["c", "e", ""], "more": [""]}


def test_shared_rows_are_found_in_all_splits() -> None:
    assert [leak.places for leak in find_leaks(KEYS)] == [
        (("train", 1), ("train", 3), ("valid", 1)),
        (("train", 2), ("test", 0)),
    ]


def test_repeated_row_of_one_split_is_no_leak() -> None:
    assert find_leaks({"train": ["a", "a"], "test": ["b"]}) == []


def test_error_policy_lists_the_rows() -> None:
    with pytest.raises(ValueError, match="found 2 shared: train row 2 .and 1 more. = valid row 2"):
        decide_leaks(KEYS, "error")


def test_error_policy_lists_only_the_first_rows() -> None:
    keys = {"train": list(map(str, range(25))), "test": list(map(str, range(25)))}

    with pytest.raises(ValueError, match="train row 10 = test row 10; and 15 more; choose"):
        decide_leaks(keys, "error")


def test_drop_policy_keeps_evaluation_splits_whole() -> None:
    decision = decide_leaks(KEYS, "drop")

    assert decision.dropped == {"train": {1, 2, 3}, "valid": set(), "test": set(), "more": set()}
    assert decision.facts()["dropped"] == {"train": 3}


def test_keep_policy_drops_nothing_but_reports() -> None:
    decision = decide_leaks(KEYS, "keep")

    assert not any(decision.dropped.values())
    assert decision.facts()["shared"] == 2


def test_texts_are_equal_up_to_case_and_space() -> None:
    assert text_key(["A  mass", "yes"]) == text_key([" a mass ", "Yes"])
    assert text_key(["a", "b"]) != text_key(["ab", ""])


def test_usual_split_names_are_known() -> None:
    names = ["Training", "val", "dev", "Testing", "official_testing", "Test"]
    assert [split_name(name) for name in names] == [
        "train",
        "valid",
        "valid",
        "test",
        "official_testing",
        "test",
    ]


def png(level: int, file_format: str = "PNG") -> str:
    buffer = io.BytesIO()
    Image.new("L", (4, 4), level).save(buffer, format=file_format)
    return base64.b64encode(buffer.getvalue()).decode()


def check(*arguments: str | Path) -> None:
    _run(_build_parser().parse_args([str(argument) for argument in arguments]))


def write_pair(folder: Path) -> tuple[Path, Path]:
    train, test = folder / "train.tsv", folder / "test.tsv"
    train.write_text(f"1\t{png(1)}\n2\t{png(2)}\n")
    test.write_text(f"3\t{png(2, 'BMP')}\n4\t{png(4)}\n")
    return train, test


def test_program_finds_equal_pictures_in_other_formats(tmp_path: Path) -> None:
    train, test = write_pair(tmp_path)

    with pytest.raises(ValueError, match="found 1 shared: train row 2 = test row 1"):
        check(train, test, "--image-column", "1")


def test_program_writes_files_without_shared_rows(tmp_path: Path) -> None:
    train, test = write_pair(tmp_path)
    output = tmp_path / "clean"

    check(train, test, "--image-column", "1", "--on-leak", "drop", "--output", output)

    assert (output / "train.tsv").read_text() == f"1\t{png(1)}\n"
    assert (output / "test.tsv").read_bytes() == test.read_bytes()


def test_program_compares_texts(tmp_path: Path) -> None:
    train, test = write_pair(tmp_path)
    test.write_text("1\tx\n")

    with pytest.raises(ValueError, match="train row 1 = test row 1"):
        check(train, test, "--text-columns", "0")


def test_program_wants_something_to_compare(tmp_path: Path) -> None:
    train, test = write_pair(tmp_path)

    with pytest.raises(ValueError, match="give --image-column, --text-columns or both"):
        check(train, test)


def test_labels_have_the_same_shares_in_each_split() -> None:
    labels = ["a"] * 100 + ["b"] * 20 + ["c"] * 10
    splits = assign_by_label(labels, (0.8, 0.1, 0.1), seed=1)

    counts = Counter(zip(splits, labels, strict=True))
    assert [counts["train", label] for label in "abc"] == [80, 16, 8]
    assert [counts["valid", label] for label in "abc"] == [10, 2, 1]
    assert [counts["test", label] for label in "abc"] == [10, 2, 1]


def test_assignment_follows_the_seed() -> None:
    labels = ["a", "b"] * 20
    first = assign_by_label(labels, (0.5, 0.25, 0.25), seed=1)

    assert first == assign_by_label(labels, (0.5, 0.25, 0.25), seed=1)
    assert first != assign_by_label(labels, (0.5, 0.25, 0.25), seed=2)


def test_groups_stay_together() -> None:
    groups = [f"patient {row // 4}" for row in range(200)]
    labels = ["a" if row % 4 else "b" for row in range(200)]
    splits = assign_by_group(labels, groups, (0.7, 0.1, 0.2), seed=1)

    assert all(len({s for s, g in zip(splits, groups, strict=True) if g == n}) == 1 for n in groups)
    assert Counter(splits) == {"train": 140, "valid": 20, "test": 40}


def test_split_with_no_share_stays_empty() -> None:
    splits = assign_by_label(["a"] * 20, (0.9, 0.0, 0.1), seed=1)

    assert Counter(splits) == {"train": 18, "test": 2}


@pytest.mark.parametrize("text", ["0.8,0.1", "0.8,0.1,0.2", "a,b,c", "1.2,-0.1,-0.1"])
def test_bad_fractions_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="three shares"):
        parse_fractions(text)
