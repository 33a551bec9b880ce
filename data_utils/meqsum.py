"""MeQSum -> summaries of consumers' health questions.

Source: a folder with train.tsv, val.tsv and test.tsv (question, tab, summary), or the release, the
workbook MeQSum_ACL2019.xlsx (File, CHQ, Summary), for which splits are drawn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from data_utils.converter import Converter
from data_utils.layouts import SUMMARY, Record, summary
from data_utils.splits import split_name
from data_utils.tables import read_pairs, read_xlsx

COLUMNS = ("File", "CHQ", "Summary")
FILES = ("train", "val", "test")


def read(args: argparse.Namespace) -> Iterator[Record]:
    """Questions with their summaries."""
    if args.source.is_file():
        for row in read_xlsx(args.source, COLUMNS):
            yield summary(row["File"], row["CHQ"], row["Summary"])
        return
    for name in FILES:
        for number, (question, short) in enumerate(read_pairs(args.source / f"{name}.tsv")):
            yield summary(f"{name}_{number}", question, short, split_name(name))


CONVERTER = Converter("meqsum", __doc__, SUMMARY, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
