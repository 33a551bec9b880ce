from __future__ import annotations

from pathlib import Path

import pytest

from biomedgpt_fairseq.data.answers import (
    best_answer,
    find_unknown_answers,
    parse_references,
    training_answer,
)
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.tsv import TsvReader


def test_references_keep_order_and_confidence() -> None:
    assert parse_references("0.3|!+yes&&1|!+left lung") == {"yes": 0.3, "left lung": 1.0}
    assert parse_references("1.0|!+a|!+b") == {"a|!+b": 1.0}


@pytest.mark.parametrize("cell", ["", "yes", "x|!+yes", "1.0|!+yes&&", "|!+yes"])
def test_other_forms_are_bad_rows(cell: str) -> None:
    with pytest.raises(BadRow, match=r"expected references as confidence\|!\+answer"):
        parse_references(cell)


def test_best_answer_is_the_first_of_equals() -> None:
    assert best_answer({"a": 0.3, "b": 0.6, "c": 0.6}) == "b"
    assert training_answer("0.3|!+a&&0.6|!+b") == "b"


def test_unknown_answers_are_found_with_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("".join(f"{i}\t1.0|!+{a}\timage\n" for i, a in enumerate("abacb")))
    reader = TsvReader(str(path), "2,1")
    assert find_unknown_answers(reader, 1, {"a"}) == [(1, "b"), (3, "c"), (4, "b")]
    assert find_unknown_answers(reader, 1, {"a", "b", "c"}) == []
    assert find_unknown_answers(reader, 0, {"image"}, parse=str) == []


def test_malformed_reference_names_its_row(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("1.0|!+a\nb\n")
    with pytest.raises(BadRow, match=r"a\.tsv:2: expected references"):
        find_unknown_answers(TsvReader(str(path)), 0, {"a"})
