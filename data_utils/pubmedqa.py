"""PubMedQA, the expert-labelled part -> questions answered from an abstract: yes, no or maybe.

Source: a folder with ori_pqal.json (by PMID: QUESTION, CONTEXTS, LONG_ANSWER, final_decision) and
test_ground_truth.json (the PMIDs of the test part). Text 1 is the question, text 2 the abstract
without its conclusion.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from data_utils.converter import Converter
from data_utils.layouts import TEXT_CLASSIFY, Record, classified_text
from data_utils.tables import check_rows, read_json

FIELDS = ("QUESTION", "CONTEXTS", "final_decision")


def read(args: argparse.Namespace) -> Iterator[Record]:
    """Items of the training part and the test part."""
    path = args.source / "ori_pqal.json"
    items, tests = read_json(path), set(read_json(args.source / "test_ground_truth.json"))
    if not isinstance(items, dict):
        raise ValueError(f"{path}: expected an object of items")
    rows = check_rows(list(items.values()), FIELDS, path, {"CONTEXTS": list})
    for pmid, row in zip(items, rows, strict=True):
        texts = row["QUESTION"], " ".join(row["CONTEXTS"])
        split = "test" if pmid in tests else "train"
        yield classified_text(pmid, texts, row["final_decision"], split)


CONVERTER = Converter("pubmedqa", __doc__, TEXT_CLASSIFY, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
