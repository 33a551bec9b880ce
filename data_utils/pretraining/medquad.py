"""MedQuAD: questions and answers of health sites of the National Institutes of Health.

Source: the folder of the repository, whose sub-folders (1_CancerGov_QA, ...) hold XML files:
Document / QAPairs / QAPair with Question and Answer, whose names differ in a few files (doc /
qaPairs / pair). The text is question and answer. Pairs without an answer (three of the sites,
removed by the authors) are rejected.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from data_utils.layouts import TEXT, Record, plain_text
from data_utils.pretraining.program import Source, find_files
from data_utils.tables import read_xml
from data_utils.writer import RejectedItem


def read(path: Path, args: argparse.Namespace) -> Iterator[Record | RejectedItem]:
    """Pairs of one document."""
    pairs = [element for element in read_xml(path).iter() if element.tag in ("QAPair", "pair")]
    if not pairs:
        yield RejectedItem(path.name, "no question")
    for number, pair in enumerate(pairs):
        # Ids inside of the files are not unique over the sites.
        item = f"{path.parent.name}_{path.stem}_{number}"
        texts = {child.tag.lower(): child.text or "" for child in pair}
        answer = texts.get("answer", "").strip()
        if not answer:
            yield RejectedItem(item, "no answer")
            continue
        yield plain_text(item, f"{texts.get('question', '')} {answer}", group=path.stem)


SOURCE = Source(__doc__ or "", TEXT, read, find_files("*.xml"))
