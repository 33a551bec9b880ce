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
from data_utils.tables import Row, inside, read_json_rows

FIELDS = ("qid", "image_name", "image_organ", "question", "answer")
KINDS = {"image_name": str}
RELEASE, RELEASE_IMAGES = "VQA_RAD Dataset Public.json", "VQA_RAD Image Folder"
FILES = {"train": "trainset.json", "test": "testset.json"}


def read(args: argparse.Namespace) -> Iterator[Record]:
    """Questions of both splits."""
    source: Path = args.source
    if (source / RELEASE).is_file():
        for row in read_json_rows(source / RELEASE, (*FIELDS, "phrase_type"), KINDS):
            is_test = str(row["phrase_type"]).strip().startswith("test")
            yield _question(row, source / RELEASE_IMAGES, "test" if is_test else "train")
        return
    for split, name in FILES.items():
        for row in read_json_rows(source / name, FIELDS, KINDS):
            yield _question(row, source / "images", split)


def _question(row: Row, images: Path, split: str) -> Record:
    # Some answers are JSON numbers.
    texts = _lower(row["question"]), _lower(row["answer"])
    return vqa(
        row["qid"], inside(images, row["image_name"]), texts, split, _lower(row["image_organ"])
    )


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


CONVERTER = Converter("vqa_rad", __doc__, VQA, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
