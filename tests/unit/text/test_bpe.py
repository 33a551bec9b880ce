"""Byte-level byte-pair encoding."""

import pickle

import pytest

from biomedgpt_fairseq.text.bpe import Gpt2Bpe, byte_alphabet, derive_encoder
from biomedgpt_fairseq.text.tokenizer import Tokenizer


def test_byte_alphabet_numbers_printable_bytes_first() -> None:
    alphabet = byte_alphabet()

    assert sorted(alphabet.values()) == list(range(256))
    assert list(alphabet)[:3] == ["!", '"', "#"]
    assert (alphabet["Ġ"], alphabet["Ċ"], alphabet["Ń"]) == (0x20, 0x0A, 0xAD)
    assert list(alphabet)[188] == "Ā"  # byte 0 is the first of the shifted ones


def test_merges_are_applied_in_order_of_rank(small: Tokenizer) -> None:
    assert small.bpe.encode(" yes") == "256 257"
    assert small.bpe.encode_ids("yes") == [88, 257]
    assert small.bpe.encode_ids("") == []


def test_special_looking_text_is_plain_text(small: Tokenizer) -> None:
    assert small.bpe.encode_ids("<s>") == [27, 82, 29]
    assert 258 not in small.bpe.encode_ids("<|endoftext|>")


def test_decode_passes_bracketed_symbols_through(small: Tokenizer) -> None:
    assert small.bpe.decode("256 257 <code_5> <bin_7> <x> 82") == " yes<code_5><bin_7><x>s"


def test_decode_replaces_partial_characters(small: Tokenizer) -> None:
    first_byte = small.bpe.encode_ids("é")[0]

    assert small.bpe.decode(f"64 {first_byte} 65") == "a\ufffdb"


@pytest.mark.parametrize("symbol", ["madeupword0000", "UNKNOWNTOKENINHYP", "-1", "1.5", "²"])
def test_decode_refuses_symbols_that_are_not_numbers(small: Tokenizer, symbol: str) -> None:
    with pytest.raises(ValueError, match="decimal piece id"):
        small.bpe.decode(f"64 {symbol}")


def test_decode_refuses_unknown_ids(small: Tokenizer) -> None:
    with pytest.raises(ValueError, match="one of 259 known ids, found 259"):
        small.bpe.decode("259")


def test_beginning_of_word_is_a_leading_space(small: Tokenizer) -> None:
    assert small.bpe.is_beginning_of_word("256")
    assert not small.bpe.is_beginning_of_word("257")
    assert not small.bpe.is_beginning_of_word("<mask>")


def test_lone_surrogates_are_refused(small: Tokenizer) -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        small.bpe.encode("lung \ud800")


def test_batch_equals_single_texts(small: Tokenizer) -> None:
    texts = [" yes", "", "no yes", "\n"]

    assert small.bpe.encode_batch(texts) == [small.bpe.encode_ids(text) for text in texts]


def test_encoder_without_a_byte_is_refused() -> None:
    encoder = derive_encoder([])
    del encoder["!"]

    with pytest.raises(ValueError, match=r"found none for \[33\]"):
        Gpt2Bpe(encoder, [])


def test_piece_outside_the_alphabet_is_refused() -> None:
    with pytest.raises(ValueError, match="found ' ' in piece 'a b'"):
        Gpt2Bpe(derive_encoder([]) | {"a b": 300}, [])


def test_encoder_survives_pickling_for_data_workers(small: Tokenizer) -> None:
    assert pickle.loads(pickle.dumps(small)).encode(" yes") == small.encode(" yes")
