"""The instruction registry: exact strings and their released ids."""

import string

import pytest

from biomedgpt_fairseq.text import instructions
from biomedgpt_fairseq.text.instructions import (
    INSTRUCTIONS,
    Instruction,
    get_instruction,
    register_instruction,
)
from biomedgpt_fairseq.text.tokenizer import Tokenizer

TEMPLATES = {
    "caption": " what does the image describe?",
    "image_classify": " what does the image describe?",
    "matching": ' does the image describe " {} "?',
    "qa": " {}",
    "verification": ' what is the answer to question " {} ". is " {} "?',
    "grounding": ' which region does the text " {} " describe?',
    "grounded_caption": "  what does the region describe? region:",
    "text_infill": ' what is the complete text of " "?',
    "image_infill": " what is the image in the middle part?",
    "detection": " what are the objects in the image?",
    "vqa": " {}",
    "objects": " object: {}",
    "mnli": ' can text1 " {} " imply text2 " {} "?',
    "text_classify": ' what is the class of text1 " {} "?',
    "summary": ' what is the summary of article " {} "?',
}
TEXT_ONLY = {"text_infill", "mnli", "text_classify", "summary"}


def test_templates_are_exact() -> None:
    assert {name: row.template for name, row in INSTRUCTIONS.items()} == TEMPLATES


def test_names_match_keys_and_images_are_declared() -> None:
    assert all(name == row.name for name, row in INSTRUCTIONS.items())
    assert {name for name, row in INSTRUCTIONS.items() if not row.needs_image} == TEXT_ONLY


def test_fill_puts_fields_in_place() -> None:
    filled = get_instruction("verification").fill("is it {clear}", "yes")

    assert filled == ' what is the answer to question " is it {clear} ". is " yes "?'


def test_fill_refuses_wrong_number_of_fields() -> None:
    with pytest.raises(ValueError, match="'mnli' takes 2 fields, found 1"):
        get_instruction("mnli").fill("a")


def test_unknown_name_lists_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown instruction 'vqaa'; known are caption, .*, vqa"):
        get_instruction("vqaa")


@pytest.mark.parametrize("row", INSTRUCTIONS.values(), ids=INSTRUCTIONS.keys())
def test_paraphrases_fit_their_instruction(row: Instruction) -> None:
    texts = [wording.template for wording in row.wordings()[1:]]
    assert texts == [*row.paraphrases, *row.more_paraphrases]
    assert 3 <= len(texts) <= 6
    assert len({row.template, *texts}) == len(texts) + 1
    leading = len(row.template) - len(row.template.lstrip(" "))
    for text in texts:
        assert sum(name == "" for _, name, _, _ in string.Formatter().parse(text)) == row.num_fields
        assert len(text) - len(text.lstrip(" ")) == leading
        assert text == text.lower()


@pytest.mark.parametrize(
    "name", ["vqa", "image_classify", "caption", "mnli", "summary", "text_classify"]
)
def test_tasks_have_four_other_wordings_that_keep_their_fields(name: str) -> None:
    row = get_instruction(name)
    released, *others = row.wordings()

    assert released == row and len(others) >= 4
    fields = [f"field{number}" for number in range(row.num_fields)]
    for wording in others:
        filled = wording.fill(*fields)
        places = [filled.index(field) for field in fields]
        assert places == sorted(places)
        assert (wording.name, wording.needs_image) == (row.name, row.needs_image)


def test_paraphrased_replaces_the_template() -> None:
    row = get_instruction("objects").paraphrased(3)

    assert row.fill("lung") == " objects: lung"
    assert row.name == "objects"


@pytest.mark.shared
def test_infilled_text_goes_before_the_last_two_tokens(released: Tokenizer) -> None:
    row = get_instruction("text_infill")

    for text in (row.template, *row.paraphrases):
        assert released.encode(text)[-3:] == [22, 22, 116]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "fields", "ids"),
    [
        ("caption", [], "99 473 5 2274 6190 116"),
        ("image_classify", [], "99 473 5 2274 6190 116"),
        ("matching", ["x"], "473 5 2274 6190 22 3023 22 116"),
        ("text_infill", [], "99 16 5 1498 2788 9 22 22 116"),
        ("image_infill", [], "99 16 5 2274 11 5 1692 233 116"),
        ("detection", [], "99 32 5 8720 11 5 2274 116"),
        ("grounded_caption", [], "1437 99 473 5 976 6190 116 976 35"),
        ("grounding", ["x"], "61 976 473 5 2788 22 3023 22 6190 116"),
        ("verification", ["x", "y"], "99 16 5 1948 7 864 22 3023 43809 16 22 1423 22 116"),
        ("mnli", ["a", "b"], "64 2788 134 22 10 22 25696 2788 176 22 741 22 116"),
        ("summary", ["a"], "99 16 5 4819 9 1566 22 10 22 116"),
        ("objects", ["chest"], "7626 35 7050"),
        ("objects", [""], "7626 35 1437"),
        ("vqa", ["yes"], "4420"),
        ("qa", ["no"], "117"),
    ],
)
def test_released_ids(released: Tokenizer, name: str, fields: list[str], ids: str) -> None:
    assert released.encode(get_instruction(name).fill(*fields)) == [int(i) for i in ids.split()]


def test_instruction_from_outside_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Instruction("laterality", ' on which side is " {} "?', True, (" which side? {}",))
    monkeypatch.setattr(instructions, "INSTRUCTIONS", dict(INSTRUCTIONS))

    assert register_instruction(own) is get_instruction("laterality") is own


def test_taken_name_is_an_error() -> None:
    before = get_instruction("vqa")

    with pytest.raises(ValueError, match="instruction 'vqa' is registered already"):
        register_instruction(Instruction("vqa", " look: {}", True, ()))
    assert get_instruction("vqa") is before
