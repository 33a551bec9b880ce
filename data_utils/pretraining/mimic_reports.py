"""MIMIC-CXR reports as texts.

Source: the unpacked mimic-cxr-reports.zip, files/pNN/pSUBJECT/sSTUDY.txt. With --split-list, the
table mimic-cxr-2.0.0-split.csv.gz (study_id, split), studies of the test split are left out and
those of the validation split go to the validation file; without it that is drawn by patient.
Credentialed data: its rules hold for the files written, too.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from data_utils import mimic_cxr
from data_utils.layouts import TEXT, Record, plain_text
from data_utils.pretraining.program import Source, find_files
from data_utils.tables import open_text
from data_utils.writer import RejectedItem

_TITLE = re.compile(r"^\s*FINAL REPORT\s*")
_splits = cache(mimic_cxr.read_splits)


def read(path: Path, args: argparse.Namespace) -> Iterator[Record | RejectedItem]:
    """The report of one study."""
    study, patient = path.stem.removeprefix("s"), path.parent.name
    splits = _splits(args.split_list)
    if splits and study not in splits:
        yield RejectedItem(study, "not in the split list")
        return
    with open_text(path) as stream:
        text = _TITLE.sub("", stream.read())
    yield plain_text(study, text, splits.get(study, ""), patient)


SOURCE = Source(
    __doc__ or "", TEXT, read, find_files("s*.txt"), add_arguments=mimic_cxr.add_arguments
)
