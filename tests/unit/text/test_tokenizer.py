"""Tokenizer: text to vocabulary ids and back."""

import numpy as np
import pytest
import torch

from biomedgpt_fairseq.text.tokenizer import Tokenizer

# Ids of the small vocabulary: piece id + 4; 263 = madeupword0000, 264 = <mask>, 265.. = codes.


def test_encode_looks_pieces_up(small: Tokenizer) -> None:
    assert small.encode(" yes") == [260, 261]
    assert small.encode_batch([" yes", ""]) == [[260, 261], []]


def test_ids_of_a_text_that_comes_again_are_a_copy(small: Tokenizer) -> None:
    for _ in range(3):
        ids = small.encode(" yes")
        assert ids == [260, 261]
        ids.clear()


def test_piece_absent_from_dictionary_is_unknown(small: Tokenizer) -> None:
    shorter = Tokenizer(type(small.vocab)(["88"], 4, 3), small.bpe)

    assert shorter.encode("yy.") == [4, 4, 3]


def test_symbols_are_split_on_any_white_space(small: Tokenizer) -> None:
    assert small.encode_symbols(" <code_0>\t<bin_2>\n<mask>  <bin_3> yes ") == [265, 271, 264, 3, 3]
    assert small.encode_symbols("") == []


def test_decode_drops_bos_pad_and_eos(small: Tokenizer) -> None:
    assert small.decode([0, 260, 261, 2, 1, 1]) == " yes"


def test_decode_shows_ids_without_text(small: Tokenizer) -> None:
    assert small.decode([3, 263, -1, 10_000, 264, 269]) == "\u2047\u2047\u2047\u2047<mask><bin_0>"


def test_decode_takes_tensors(small: Tokenizer) -> None:
    assert small.decode(torch.tensor([0, 260, 261, 2])) == " yes"


def test_word_starts_mark_spaces_specials_and_fillers(small: Tokenizer) -> None:
    starts = small.word_starts()

    assert starts.dtype == np.bool_
    assert starts.shape == (272,)
    # specials, the space byte (piece 220), " y", the filler
    assert np.flatnonzero(starts).tolist() == [0, 1, 2, 3, 224, 260, 263]


def test_word_starts_are_a_copy(small: Tokenizer) -> None:
    small.word_starts()[:] = True

    assert not small.word_starts()[261]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (" what does the image describe?", [99, 473, 5, 2274, 6190, 116]),
        (" yes", [4420]),
        (" no", [117]),
        (" maybe", [2085]),
        ("yes", [10932]),
        (" ", [1437]),
        ("µg/mL", [4056, 8906, 571, 73, 43619]),
        ("<mask>", [41552, 43776, 15698]),
        ("'s 'S", [18, 128, 104]),
    ],
)
def test_released_ids(released: Tokenizer, text: str, ids: list[int]) -> None:
    assert released.encode(text) == ids
    assert released.decode(ids) == text
