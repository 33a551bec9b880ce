"""SEER -> first course of treatment from a description of the case.

Source: a case listing that SEER*Stat exported as CSV with a header of its variable names. The three
treatment columns (names can be given) are joined to a label such as "surgery, radiation", or
"none"; cases of unknown surgery are rejected. The remaining columns, or those of --columns, become
"name: value" in text 1. Splits are drawn by Patient ID, where that column is there.
"""

from __future__ import annotations

import argparse
import sys

from data_utils.converter import Converter, Items
from data_utils.layouts import TEXT_CLASSIFY, classified_text
from data_utils.tables import read_csv
from data_utils.writer import RejectedItem

PATIENT = "Patient ID"
UNKNOWN = ("", "99", "Blank(s)", "Unknown")
# SEER keeps "no" and "unknown" of radiation and chemotherapy in one value.
NONE = (
    "0",
    "00",
    "No",
    "No/Unknown",
    "None/Unknown",
    "None/Unknown; diagnosed at autopsy",
    "Refused (1988+)",
    "Recommended, unknown if administered",
)


def read(args: argparse.Namespace) -> Items:
    """Cases with their treatment."""
    treatments = {
        "surgery": args.surgery,
        "radiation": args.radiation,
        "chemotherapy": args.chemotherapy,
    }
    wanted = [name.strip() for name in args.columns.split(";") if name.strip()]
    rows = read_csv(args.source, [*treatments.values(), *wanted])
    for number, row in enumerate(rows):
        patient = row.get(PATIENT, "").strip()
        item = f"{patient or 'row'}_{number}"
        if row[args.surgery].strip() in UNKNOWN:
            yield RejectedItem(item, "unknown surgery")
            continue
        given = [t for t, column in treatments.items() if row[column].strip() not in NONE + UNKNOWN]
        hidden = {PATIENT, None, *treatments.values()}
        shown = wanted or [name for name in row if name not in hidden]
        text = "; ".join(f"{name}: {row[name].strip()}" for name in shown if row[name].strip())
        yield classified_text(item, (text, ""), ", ".join(given) or "none", group=patient)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--surgery", default="RX Summ--Surg Prim Site (1998+)", help="its column")
    parser.add_argument("--radiation", default="Radiation recode", help="its column")
    parser.add_argument(
        "--chemotherapy", default="Chemotherapy recode (yes, no/unk)", help="its column"
    )
    parser.add_argument("--columns", default="", help="columns of the description, joined by ;")


CONVERTER = Converter("seer", __doc__, TEXT_CLASSIFY, read, _add_arguments)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
