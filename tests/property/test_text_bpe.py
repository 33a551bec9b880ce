"""Encoding loses nothing, whatever the text; decoding never fails."""

from hypothesis import given
from hypothesis import strategies as st

from biomedgpt_fairseq.text.bpe import Gpt2Bpe, derive_encoder
from biomedgpt_fairseq.text.normalize import pre_caption, pre_question, remove_punctuation
from biomedgpt_fairseq.text.tokenizer import Tokenizer
from biomedgpt_fairseq.text.vocab import Vocabulary

MERGES = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n"), ("Ã", "©")]
ENCODER = derive_encoder(MERGES)
SYMBOLS = [str(i) for i in reversed(range(len(ENCODER)))] + ["madeupword0000"]
TOKENIZER = Tokenizer(Vocabulary(SYMBOLS, 8, 4), Gpt2Bpe(ENCODER, MERGES))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(TEXTS)
def test_decoding_an_encoded_text_gives_the_text(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text
    assert TOKENIZER.bpe.decode(TOKENIZER.bpe.encode(text)) == text


@given(TEXTS)
def test_ids_are_plain_text(text: str) -> None:
    assert all(4 <= i < TOKENIZER.vocab.mask for i in TOKENIZER.encode(text))


@given(st.lists(st.integers(-2, len(TOKENIZER.vocab) + 2), max_size=20))
def test_decoding_any_ids_gives_text(ids: list[int]) -> None:
    TOKENIZER.decode(ids).encode("utf-8")


@given(TEXTS, st.integers(1, 5))
def test_word_limit_holds(text: str, limit: int) -> None:
    for clean in (pre_question, pre_caption):
        assert len(clean(text, limit).split(" ")) <= limit
        assert clean(text, None).startswith(clean(text, limit))


@given(TEXTS)
def test_removed_punctuation_stays_removed(text: str) -> None:
    assert remove_punctuation(remove_punctuation(text)) == remove_punctuation(text)
