"""PathVQA -> questions about pathology pictures.

Source, any of:
- the release, a folder with qas/SPLIT/SPLIT_qa.pkl (fields image, question, answer) or
  qas/SPLIT_vqa.pkl (img_id, question_id, sent, label: answers with scores, of which the first is
  taken), and images/SPLIT/NAME.jpg; the pickles are read without running anything;
- the same lists as JSON, SPLIT_qa.json or SPLIT_vqa.json;
- parquet files data/SPLIT-*.parquet (image, question, answer), which need the package pyarrow;
  their pictures are unpacked to OUTPUT/pictures.
Case is kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from data_utils.converter import Converter
from data_utils.layouts import VQA, Record, vqa
from data_utils.parquet import unpack_rows
from data_utils.plain_pickle import load_plain_pickle
from data_utils.splits import split_name
from data_utils.tables import Row, check_rows, find_file, inside, read_json

SPLITS = ("train", "val", "test")
PARQUET_SPLITS = ("train", "validation", "test")


def read(args: argparse.Namespace) -> Iterator[Record]:
    """Questions of the three splits."""
    parquet = {s: sorted(args.source.rglob(f"{s}-*.parquet")) for s in PARQUET_SPLITS}
    if any(parquet.values()):
        for name, files in parquet.items():
            rows = unpack_rows(files, args.output / "pictures", ("image", "question", "answer"))
            for number, (row, image) in enumerate(rows):
                texts = row["question"], row["answer"]
                yield vqa(f"{name}_{number}", image, texts, split_name(name))
        return
    for name in SPLITS:
        yield from _read_list(args.source, name)


def _read_list(source: Path, name: str) -> Iterator[Record]:
    forms = [f"{name}_{kind}.{ending}" for kind in ("qa", "vqa") for ending in ("pkl", "json")]
    path = find_file(source, *(f"**/{form}" for form in forms))
    loaded = load_plain_pickle(path) if path.suffix == ".pkl" else read_json(path)
    has_answers = path.stem.endswith("_qa")
    fields = ("image", "question", "answer") if has_answers else ("img_id", "sent", "label")
    kinds = {} if has_answers else {"label": dict}
    for number, row in enumerate(check_rows(loaded, fields, path, kinds)):
        item = row.get("question_id", f"{name}_{number}")
        image = inside(source / "images" / name, f"{row[fields[0]]}.jpg")
        yield vqa(item, image, (row[fields[1]], _answer(row)), split_name(name))


def _answer(row: Row) -> object:
    return row["answer"] if "answer" in row else next(iter(row["label"]), "")


CONVERTER = Converter("path_vqa", __doc__, VQA, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
