"""Rows of one or two texts with a label."""

import numpy as np
import pytest

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.examples import RowOptions, RowTools, make_text_classify_example
from biomedgpt_fairseq.text.instructions import get_instruction
from biomedgpt_fairseq.text.vocab import Vocabulary

INSTRUCTION = get_instruction("text_classify")


class Letters:
    """A token for each character: its code point."""

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def decode(self, ids: list[int]) -> str:
        return "".join(chr(i) for i in ids if i > Vocabulary.unk)


def build(row: list[str], instruction=INSTRUCTION, **options: int):
    tools = RowTools(Letters(), instruction)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    return make_text_classify_example(row, 4, tools, RowOptions(**options), rng)  # type: ignore[arg-type]


def source(example) -> str:
    return Letters().decode(example.source.tolist())


def test_two_texts_stand_in_the_instruction() -> None:
    example = build(["A Cat", "sat", "Yes"])
    assert source(example) == ' what is the class of text1 " a cat " text2 " sat "?'
    assert Letters().decode(example.target.tolist()) == " Yes"
    assert example.target[-1] == Vocabulary.eos
    assert (example.row_id, example.target_text, example.references) == ("4", "Yes", {"Yes": 1.0})


def test_empty_second_text_is_left_out() -> None:
    assert source(build(["a", "", "x"])) == ' what is the class of text1 " a "?'


def test_each_text_is_cut_to_its_words() -> None:
    cut = build(["a b c", "d e f", "x"], max_src_length=2)
    assert source(cut) == ' what is the class of text1 " a b " text2 " d e "?'


def test_paraphrases_take_the_same_texts() -> None:
    instruction = get_instruction("text_classify").paraphrased(3)
    assert source(build(["a", "b", "x"], instruction)) == ' classify text1 " a " text2 " b ".'


def test_missing_column_is_a_bad_row() -> None:
    with pytest.raises(BadRow, match="expected 3 columns .text1, text2, label., found 2"):
        build(["a", "x"])
