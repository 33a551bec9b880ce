"""Text files: a sentence on each line, a document in each file, or PubTator."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from data_utils.layouts import TEXT, Record, plain_text
from data_utils.pretraining.program import Source, find_files
from data_utils.tables import open_text

SENTENCES_ABOUT = """PubMed and clinical texts with a sentence on each line, as of NCBI BlueBERT.

Source: one or more .txt or .txt.gz files, such as pubmed_uncased_sentence_nltk.txt; empty lines
stand between documents. Every line is a row.
"""
DOCUMENTS_ABOUT = """Texts with a file for each document, as of the BioNLP shared tasks.

Source: a folder of .txt files (PMID.txt, whose annotations .a1 and .a2 are not read), or .abst.
"""
PUBTATOR_ABOUT = """Abstracts in the PubTator form of NCBI, as of the NCBI disease corpus.

Source: .txt files with lines PMID|t|TITLE and PMID|a|ABSTRACT; annotation lines are not read.
"""


def read_sentences(path: Path, args: argparse.Namespace) -> Iterator[Record]:
    """Lines that are not empty."""
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield plain_text(f"{path.name.split('.')[0]}_{number}", line)


def read_document(path: Path, args: argparse.Namespace) -> Iterator[Record]:
    """The whole file."""
    with open_text(path) as stream:
        yield plain_text(path.relative_to(args.source.parent).as_posix(), stream.read())


def read_pubtator(path: Path, args: argparse.Namespace) -> Iterator[Record]:
    """Title and abstract of each citation."""
    titles: dict[str, str] = {}
    with open_text(path) as stream:
        for line in stream:
            pmid, *rest = line.rstrip("\r\n").split("|", 2)
            if len(rest) == 2 and pmid.isdigit() and rest[0] == "t":
                titles = {pmid: rest[1]}
            elif len(rest) == 2 and pmid.isdigit() and rest[0] == "a":
                yield plain_text(pmid, f"{titles.get(pmid, '')} {rest[1]}")


_TEXT_FILES = find_files("*.txt", "*.txt.gz")
SENTENCES = Source(SENTENCES_ABOUT, TEXT, read_sentences, _TEXT_FILES)
DOCUMENTS = Source(DOCUMENTS_ABOUT, TEXT, read_document, find_files("*.txt", "*.abst"))
PUBTATOR = Source(PUBTATOR_ABOUT, TEXT, read_pubtator, _TEXT_FILES)
