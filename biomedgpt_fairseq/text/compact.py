"""Trains a compact vocabulary: the same kind of files as GPT-2's, for small models."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path

from tokenizers import Tokenizer as PieceEncoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from biomedgpt_fairseq.text.bpe import Gpt2Bpe, byte_alphabet
from biomedgpt_fairseq.text.folder import (
    CARD_FILE,
    CARD_FORMAT,
    DICT_FILE,
    ENCODER_FILE,
    FAIRSEQ_FILES,
    MERGES_FILE,
    format_merges,
    sha256,
)
from biomedgpt_fairseq.text.instructions import ANSWER_WORDS, INSTRUCTIONS

logger = logging.getLogger(__name__)

MIN_SIZE = 300  # 256 bytes, the answer words and some 30 merges
_INSTRUCTION_SHARE = 20  # one copy of the instructions for so many texts
_COPIES_IN_A_LINE = 1000


def train_compact_vocabulary(texts: Iterable[str], size: int, folder: str | Path) -> None:
    """Writes dict.txt, encoder.json, vocab.bpe and the card vocabulary.json into the folder.

    texts: what the model will read and write; each is also learnt in lower case, as questions are
    lower-cased.  size: number of pieces, all 256 bytes included; fewer when the texts hold no
    more pairs that occur twice.  The instructions and the answer words are always learnt too.
    The same texts and size give the same bytes.
    Raises ValueError when the size is below MIN_SIZE.
    """
    if size < MIN_SIZE:
        raise ValueError(f"a compact vocabulary needs at least {MIN_SIZE} pieces, found {size}")
    corpus = _corpus(texts)
    pieces, merges = _train(corpus, size)
    encoder = {piece: i for i, piece in enumerate(pieces)}
    bpe = Gpt2Bpe(encoder, merges)
    _write(Path(folder), bpe, encoder, merges, corpus)
    logger.info("compact vocabulary: %d pieces from %d texts", len(encoder), len(corpus))


def _corpus(texts: Iterable[str]) -> list[str]:
    """Texts with the leading space they are encoded with, instructions and answer words."""
    corpus = []
    for text in texts:
        spaced = text if text[:1].isspace() else f" {text}"
        corpus.append(spaced)
        if spaced != spaced.lower():
            corpus.append(spaced.lower())
    # Copies in proportion to the texts, so that many texts cannot crowd the instructions out.
    copies = 2 + len(corpus) // _INSTRUCTION_SHARE
    fixed = [row.template.replace("{}", "") for row in INSTRUCTIONS.values()]
    once = [text.replace("{}", "") for row in INSTRUCTIONS.values() for text in row.paraphrases]
    return [*corpus, *(fixed * copies), *once, *(f" {word}" for word in ANSWER_WORDS)]


def _with_answer_words_first(corpus: list[str]) -> Iterator[str]:
    """The corpus, and the answer words more often than any pair of characters can occur in it.

    Their pairs are then merged before all others: each answer word becomes one piece.
    """
    yield from corpus
    copies = sum(len(text.encode("utf-8")) for text in corpus)
    line = "".join(f" {word}" for word in ANSWER_WORDS) * _COPIES_IN_A_LINE
    yield from repeat(line, 1 + copies // _COPIES_IN_A_LINE)


def _train(corpus: list[str], size: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Pieces in order of their ids (bytes first) and merges in order of rank."""
    learner = PieceEncoder(BPE())
    learner.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=list(byte_alphabet()),
    )
    learner.train_from_iterator(_with_answer_words_first(corpus), trainer)
    model = json.loads(learner.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return pieces, [(left, right) for left, right in model["merges"]]


def _write(
    folder: Path,
    bpe: Gpt2Bpe,
    encoder: dict[str, int],
    merges: list[tuple[str, str]],
    corpus: list[str],
) -> None:
    counts: Counter[int] = Counter()
    for ids in bpe.encode_batch(corpus):
        counts.update(ids)
    by_frequency = sorted(encoder.values(), key=lambda index: (-counts[index], index))
    contents = {
        DICT_FILE: "".join(f"{index} {counts[index]}\n" for index in by_frequency),
        ENCODER_FILE: json.dumps(encoder),
        MERGES_FILE: format_merges(merges),
    }
    card = {
        "format": CARD_FORMAT,
        "pieces": len(encoder),
        "sha256": {name: sha256(contents[name].encode("utf-8")) for name in FAIRSEQ_FILES},
    }
    contents[CARD_FILE] = json.dumps(card, indent=2) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():  # the card comes last: with it the folder is complete
        write_atomically(folder / name, content.encode("utf-8"))


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file that is either whole or absent, even when the program is interrupted."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.write_bytes(data)
    os.replace(partial, path)
