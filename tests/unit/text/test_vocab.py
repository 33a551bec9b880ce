"""Vocabulary: order, offsets and look-up."""

import pytest

from biomedgpt_fairseq.text.tokenizer import Tokenizer
from biomedgpt_fairseq.text.vocab import Vocabulary


def test_symbols_stand_in_released_order() -> None:
    vocab = Vocabulary(["13", "262"], num_codes=2, num_bins=3)

    assert vocab.symbols == [
        *("<s>", "<pad>", "</s>", "<unk>", "13", "262", "<mask>"),
        *("<code_0>", "<code_1>", "<bin_0>", "<bin_1>", "<bin_2>"),
    ]
    assert (vocab.bos, vocab.pad, vocab.eos, vocab.unk) == (0, 1, 2, 3)
    assert (vocab.mask, vocab.text_end, vocab.first_code, vocab.first_bin) == (6, 7, 7, 9)
    assert len(vocab) == 12


def test_index_gives_unknown_for_absent_symbol() -> None:
    vocab = Vocabulary(["13"], num_codes=2, num_bins=3)

    assert vocab.index("<code_1>") == 7
    assert vocab.index("<code_2>") == 3
    assert len(vocab) == 11
    assert "<bin_2>" in vocab and "<bin_3>" not in vocab


def test_vocabulary_without_codes_and_bins_ends_in_mask() -> None:
    vocab = Vocabulary(["13"], num_codes=0, num_bins=0)

    assert vocab[len(vocab) - 1] == "<mask>"


def test_vocabularies_are_equal_when_symbols_are() -> None:
    assert Vocabulary(["13"], 2, 2) == Vocabulary(["13"], 2, 2)
    assert Vocabulary(["13"], 2, 2) != Vocabulary(["13"], 2, 3)
    assert hash(Vocabulary(["13"], 2, 2)) == hash(Vocabulary(["13"], 2, 2))


def test_repeated_symbol_is_an_error() -> None:
    with pytest.raises(ValueError, match="found twice: 13"):
        Vocabulary(["13", "262", "13"])


def test_negative_count_is_an_error() -> None:
    with pytest.raises(ValueError, match="num_bins=-1"):
        Vocabulary(["13"], num_bins=-1)


@pytest.mark.shared
def test_released_offsets(released: Tokenizer) -> None:
    vocab = released.vocab

    assert len(vocab) == 59457
    assert [vocab[i] for i in (4, 5, 6, 7, 8)] == ["13", "262", "11", "284", "290"]
    assert [vocab[i] for i in (50261, 50262, 50263)] == [
        "madeupword0000",
        "madeupword0001",
        "madeupword0002",
    ]
    assert vocab.mask == 50264
    assert (vocab.first_code, vocab.text_end) == (50265, 50265)
    assert (vocab[58456], vocab[58457], vocab[59456]) == ("<code_8191>", "<bin_0>", "<bin_999>")
