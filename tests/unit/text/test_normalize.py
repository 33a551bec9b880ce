"""Clean-up of questions, captions and answers."""

import pytest

from biomedgpt_fairseq.text.normalize import (
    normalize_answer,
    pre_caption,
    pre_question,
    remove_punctuation,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Is the LEFT-sided/right lung clear?", "is the left sided right lung clear?"),
        (",.!?*#:;~ Is there?\n", "is there?"),
        (" ?leading", "?leading"),  # the leading space protects it
        ("a  b \t c", "a b c"),
        ("tab\tand\nnewline \n", "tab\tand\nnewline"),
        ("<person> sits", "<person> sits"),
        ("-", ""),
        ("", ""),
    ],
)
def test_question_is_cleaned(text: str, expected: str) -> None:
    assert pre_question(text, None) == expected


def test_question_keeps_first_words() -> None:
    assert pre_question("What is in - the image", 3) == "what is in"
    assert pre_question("what is", 5) == "what is"


def test_caption_names_persons_plainly() -> None:
    assert pre_caption("A <person> with X-ray", None) == "a person with x ray"
    assert pre_caption("A <person> with X-ray", 2) == "a person"


def test_punctuation_is_deleted_and_case_kept() -> None:
    assert remove_punctuation(" A CT-scan (axial), of the chest. ") == "A CTscan axial of the chest"
    assert remove_punctuation("“quoted”") == "“quoted”"


def test_answers_are_compared_without_case_and_margins() -> None:
    assert normalize_answer("  Straße\n") == "strasse"
