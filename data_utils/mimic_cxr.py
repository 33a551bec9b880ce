"""MIMIC-CXR -> impressions from findings.

Source: the unpacked mimic-cxr-reports.zip, files/pNN/pSUBJECT/sSTUDY.txt. With --split-list, the
table mimic-cxr-2.0.0-split.csv.gz (study_id, split), the official splits are used; without it they
are drawn by patient. Credentialed data: its rules hold for the files written, too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from data_utils.converter import Converter, Items
from data_utils.layouts import SUMMARY
from data_utils.report_sections import report_summary
from data_utils.splits import split_name
from data_utils.tables import open_text, read_csv
from data_utils.writer import RejectedItem


def read(args: argparse.Namespace) -> Items:
    """All reports that have both sections."""
    splits = read_splits(args.split_list)
    for path in sorted(args.source.rglob("s*.txt")):
        study, patient = path.stem.removeprefix("s"), path.parent.name
        if splits and study not in splits:
            yield RejectedItem(study, "not in the split list")
            continue
        with open_text(path) as stream:
            yield report_summary(study, stream.read(), splits.get(study, ""), patient)


def read_splits(table: Path | None) -> dict[str, str]:
    """Study -> split, of the official table; nothing without one."""
    if table is None:
        return {}
    rows = read_csv(table, ("study_id", "split"))
    return {row["study_id"]: split_name(row["split"]) for row in rows}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--split-list."""
    parser.add_argument("--split-list", type=Path, help="mimic-cxr-2.0.0-split.csv, or .csv.gz")


CONVERTER = Converter("mimic_cxr", __doc__, SUMMARY, read, add_arguments)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
