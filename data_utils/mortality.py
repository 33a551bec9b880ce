"""In-hospital mortality from admission notes of MIMIC-III.

Source: a folder with MP_IN_adm_train.csv, MP_IN_adm_val.csv and MP_IN_adm_test.csv (id, text,
hospital_expire_flag), as the public code for clinical outcome prediction makes them (split by
patient). Credentialed data: its rules hold for the files written, too.
"""

from __future__ import annotations

import argparse
import sys

from data_utils.converter import Converter, Items
from data_utils.layouts import TEXT_CLASSIFY, classified_text
from data_utils.splits import split_name
from data_utils.tables import find_file, read_csv
from data_utils.writer import RejectedItem

COLUMNS = ("id", "text", "hospital_expire_flag")
SPLITS = ("train", "val", "test")
CLASSES = {"0": "survived", "1": "died"}


def read(args: argparse.Namespace) -> Items:
    """Notes of the three splits."""
    for name in SPLITS:
        for row in read_csv(find_file(args.source, f"MP_IN*_{name}.csv"), COLUMNS):
            flag = row["hospital_expire_flag"].strip()
            if flag in CLASSES:
                yield classified_text(row["id"], (row["text"], ""), CLASSES[flag], split_name(name))
            else:
                yield RejectedItem(row["id"], "flag is neither 0 nor 1")


CONVERTER = Converter("mortality", __doc__, TEXT_CLASSIFY, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
