"""Text corpora -> id, text: for masked spans."""

from __future__ import annotations

import argparse
import re
import sys

from data_utils import indiana_reports
from data_utils.layouts import Record
from data_utils.pretraining import medquad, mimic_reports, plain_texts, pubmed
from data_utils.pretraining.program import Kind, from_converter
from data_utils.writer import RejectedItem

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"\w")
# Of a longer text training sees a part only: 256 tokens, which are about this many words.
_MAX_WORDS = 180


def make_rows(record: Record, args: argparse.Namespace) -> list[list[str]]:
    """One row, or several of at most --max-words words."""
    text = " ".join(str(cell) for cell in record.cells.values() if cell)
    if not _WORD.search(text):
        raise RejectedItem(record.item, "no words")
    pieces = cut_text(text, args.max_words) if args.max_words else [text]
    name = f"{args.corpus}_{record.item}"
    if len(pieces) == 1:
        return [[name, text]]
    return [[f"{name}_{number}", piece] for number, piece in enumerate(pieces)]


def cut_text(text: str, max_words: int) -> list[str]:
    """Pieces of whole sentences, as many as fit; a sentence that is too long is cut."""
    pieces: list[list[str]] = [[]]
    for sentence in _SENTENCE_END.split(text):
        words = sentence.split()
        if len(pieces[-1]) + len(words) > max_words and pieces[-1]:
            pieces.append([])
        while len(words) > max_words:
            pieces[-1], words = words[:max_words], words[max_words:]
            pieces.append([])
        pieces[-1] += words
    return [" ".join(words) for words in pieces if words]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-words",
        type=int,
        default=_MAX_WORDS,
        help="longer texts become several rows, cut at ends of sentences (default: "
        f"{_MAX_WORDS}, about the 256 tokens that training takes); 0: never",
    )


KIND = Kind(
    name="texts",
    about=__doc__ or "",
    columns=("id", "text"),
    sources={
        "pubmed": pubmed.SOURCE,
        "mimic_cxr": mimic_reports.SOURCE,
        "sentences": plain_texts.SENTENCES,
        "documents": plain_texts.DOCUMENTS,
        "pubtator": plain_texts.PUBTATOR,
        "medquad": medquad.SOURCE,
        "indiana_reports": from_converter(indiana_reports.CONVERTER),
    },
    make_rows=make_rows,
    add_arguments=_add_arguments,
)

if __name__ == "__main__":
    sys.exit(KIND.main())
