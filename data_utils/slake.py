"""SLAKE -> questions about radiology pictures, the English ones.

Source: a folder with train.json, validate.json, test.json (fields qid, img_name, question, answer,
q_lang, location) and imgs/. The body part is the object; case is kept.
"""

from __future__ import annotations

import argparse
import sys

from data_utils.converter import Converter, Items
from data_utils.layouts import VQA, vqa
from data_utils.tables import inside, read_json_rows
from data_utils.writer import RejectedItem

FIELDS = ("qid", "img_name", "question", "answer", "q_lang", "location")
FILES = {"train": "train.json", "valid": "validate.json", "test": "test.json"}
ENGLISH = "en"


def read(args: argparse.Namespace) -> Items:
    """Questions of the three splits."""
    for split, name in FILES.items():
        for row in read_json_rows(args.source / name, FIELDS, {"img_name": str}):
            if row["q_lang"] != ENGLISH:
                yield RejectedItem(str(row["qid"]), "not English")
                continue
            image = inside(args.source / "imgs", row["img_name"])
            texts = row["question"], row["answer"]
            # All pictures of the set have the same file name; the folder tells them apart.
            yield vqa(row["qid"], image, texts, split, row["location"], image_id=row["img_name"])


CONVERTER = Converter("slake", __doc__, VQA, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
