"""Indiana chest x-ray reports -> impressions from findings.

Source: indiana_dev.json of MEDIQA 2021 task 3, a list with the fields study_id, findings and
impression. It has no splits; reports with equal findings come into one drawn split.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from data_utils.converter import Converter
from data_utils.layouts import SUMMARY, Record, summary
from data_utils.tables import read_json_rows

FIELDS = ("study_id", "findings", "impression")


def read(args: argparse.Namespace) -> Iterator[Record]:
    """All reports."""
    for row in read_json_rows(args.source, FIELDS):
        yield summary(str(row["study_id"]), row["findings"], row["impression"])


CONVERTER = Converter("indiana_reports", __doc__, SUMMARY, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
