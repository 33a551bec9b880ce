"""MIMIC-III radiology reports -> impressions from findings.

Source: NOTEEVENTS.csv or NOTEEVENTS.csv.gz (ROW_ID, SUBJECT_ID, CATEGORY, DESCRIPTION, ISERROR,
TEXT). Splits are drawn by patient. Credentialed data: its rules hold for the files written, too.
"""

from __future__ import annotations

import argparse
import re
import sys

from data_utils.converter import Converter, Items
from data_utils.layouts import SUMMARY
from data_utils.report_sections import report_summary
from data_utils.tables import read_csv
from data_utils.writer import RejectedItem

COLUMNS = ("ROW_ID", "SUBJECT_ID", "CATEGORY", "DESCRIPTION", "ISERROR", "TEXT")


def read(args: argparse.Namespace) -> Items:
    """Radiology notes that have both sections."""
    wanted = re.compile(args.description, re.IGNORECASE)
    for row in read_csv(args.source, COLUMNS):
        if row["CATEGORY"].strip() != "Radiology":
            yield RejectedItem(row["ROW_ID"], "not a radiology note")
        elif row["ISERROR"].strip() == "1":
            yield RejectedItem(row["ROW_ID"], "marked as an error")
        elif not wanted.search(row["DESCRIPTION"]):
            yield RejectedItem(row["ROW_ID"], "another kind of examination")
        else:
            yield report_summary(row["ROW_ID"], row["TEXT"], group=row["SUBJECT_ID"])


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--description",
        default="",
        help="regular expression: only examinations whose description it finds, such as ^CT HEAD",
    )


CONVERTER = Converter("mimic_iii", __doc__, SUMMARY, read, _add_arguments)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
