"""MedNLI -> inference between clinical sentences.

Source: a folder with mli_train_v1.jsonl, mli_dev_v1.jsonl and mli_test_v1.jsonl (fields pairID,
sentence1, sentence2, gold_label).
"""

from __future__ import annotations

import argparse
import sys

from data_utils.converter import Converter, Items
from data_utils.layouts import CONTRADICTION, ENTAILMENT, NEUTRAL, NLI, inference
from data_utils.splits import split_name
from data_utils.tables import read_json_rows
from data_utils.writer import RejectedItem

FIELDS = ("pairID", "sentence1", "sentence2", "gold_label")
SPLITS = ("train", "dev", "test")
LABELS = {"neutral": NEUTRAL, "entailment": ENTAILMENT, "contradiction": CONTRADICTION}
NO_AGREEMENT = "-"


def read(args: argparse.Namespace) -> Items:
    """Pairs of the three splits."""
    for name in SPLITS:
        for row in read_json_rows(args.source / f"mli_{name}_v1.jsonl", FIELDS):
            item, label = str(row["pairID"]), str(row["gold_label"])
            if label in LABELS:
                texts = row["sentence1"], row["sentence2"]
                yield inference(item, texts, LABELS[label], split_name(name))
            else:
                is_open = label == NO_AGREEMENT
                yield RejectedItem(item, "no gold label" if is_open else "unknown label")


CONVERTER = Converter("mednli", __doc__, NLI, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
