"""VQA-RAD -> questions about radiology pictures.

Source: a folder with trainset.json, testset.json and images/ (fields qid, image_name, image_organ,
question, answer), or the OSF release, "VQA_RAD Dataset Public.json" and "VQA_RAD Image Folder/",
whose test rows have a phrase_type that starts with "test_". Texts are lower-cased, as the released
models were trained; the organ is the object. Train and test share pictures by design of the set:
that takes --on-leak keep.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from data_utils.converter import Converter
from data_utils.layouts import VQA, Record, vqa
from data_utils.tables import Row, read_json_rows

FIELDS = ("qid", "image_name", "image_organ", "question", "answer")
RELEASE, RELEASE_IMAGES = "VQA_RAD Dataset Public.json", "VQA_RAD Image Folder"
FILES = {"train": "trainset.json", "test": "testset.json"}


def read(args: argparse.Namespace) -> Iterator[Record]:
    """Questions of both splits."""
    source: Path = args.source
    if (source / RELEASE).is_file():
        for row in read_json_rows(source / RELEASE, (*FIELDS, "phrase_type")):
            is_test = str(row["phrase_type"]).strip().startswith("test")
            yield _question(row, source / RELEASE_IMAGES, "test" if is_test else "train")
        return
    for split, name in FILES.items():
        for row in read_json_rows(source / name, FIELDS):
            yield _question(row, source / "images", split)


def _question(row: Row, images: Path, split: str) -> Record:
    # Some answers are JSON numbers.
    texts = str(row["question"]).lower(), str(row["answer"]).lower()
    organ = str(row["image_organ"]).strip().lower()
    return vqa(str(row["qid"]), images / row["image_name"], texts, split, organ)


CONVERTER = Converter("vqa_rad", __doc__, VQA, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
