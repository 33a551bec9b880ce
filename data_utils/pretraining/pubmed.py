"""PubMed abstracts, from the baseline of the National Library of Medicine.

Source: the folder of pubmedYYnNNNN.xml.gz (about 1,200 files of 30,000 citations), or one of them,
packed or not: PubmedArticleSet / PubmedArticle / MedlineCitation with PMID and Article, which has
ArticleTitle and Abstract / AbstractText (several, with a Label, in structured abstracts). The text
is title and abstract. Files are read as streams: memory does not grow with them. Update files hold
citations a second time: take the baseline alone.
"""

from __future__ import annotations

import argparse
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from data_utils.layouts import TEXT, Record, plain_text
from data_utils.pretraining.program import Source, find_files
from data_utils.tables import open_binary
from data_utils.writer import RejectedItem


def read(path: Path, args: argparse.Namespace) -> Iterator[Record | RejectedItem]:
    """Citations of one file."""
    for citation in stream_elements(path, "MedlineCitation"):
        item = citation.findtext("PMID", "").strip() or "without PMID"
        article = citation.find("Article")
        parts = [] if article is None else article.findall("Abstract/AbstractText")
        abstract = " ".join(_labelled(part) for part in parts).strip()
        if article is None or not abstract:
            yield RejectedItem(item, "no abstract")
            continue
        # Titles that were translated stand in brackets.
        title = _text(article.find("ArticleTitle")).strip("[] ")
        yield plain_text(item, f"{title} {abstract}")


def stream_elements(path: Path, tag: str) -> Iterator[ElementTree.Element]:
    """Elements of an XML file, packed with gzip or not, which are forgotten once they are used.

    Raises ValueError that names a damaged file.
    """
    try:
        with open_binary(path) as stream:
            events = ElementTree.iterparse(stream, events=("start", "end"))
            _, root = next(events)
            for event, element in events:
                if event == "end" and element.tag == tag:
                    yield element
                    root.clear()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is not valid XML: {error}") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: damaged gzip file: {error}") from error


def _labelled(part: ElementTree.Element) -> str:
    label = part.get("Label", "")
    text = _text(part)
    return f"{label}: {text}" if label and text and label != "UNLABELLED" else text


def _text(element: ElementTree.Element | None) -> str:
    """All text inside, that of mark-up such as <i> and <sub> included."""
    return "" if element is None else "".join(element.itertext()).strip()


SOURCE = Source(__doc__ or "", TEXT, read, find_files("*.xml.gz", "*.xml"))
