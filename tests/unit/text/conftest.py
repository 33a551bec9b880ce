"""Vocabularies for the tests of the text layer."""

from pathlib import Path

import pytest

from biomedgpt_fairseq.text.bpe import Gpt2Bpe, derive_encoder
from biomedgpt_fairseq.text.tokenizer import Tokenizer, load_tokenizer
from biomedgpt_fairseq.text.vocab import Vocabulary


@pytest.fixture(scope="session")
def released(shared_dir: Path) -> Tokenizer:
    """Tokenizer on the released files; skips when they are not beside the project."""
    return load_tokenizer(shared_dir / "data" / "bpe")


@pytest.fixture(scope="session")
def small() -> Tokenizer:
    """Bytes and two merges: piece ids 0..255, 256 = ' y', 257 = 'es', 258 = end of text."""
    merges = [("Ġ", "y"), ("e", "s")]
    encoder = derive_encoder(merges)
    symbols = [str(i) for i in range(len(encoder))] + ["madeupword0000"]
    return Tokenizer(Vocabulary(symbols, num_codes=4, num_bins=3), Gpt2Bpe(encoder, merges))
