"""HealthCareMagic and iCliniq, of MedDialog -> summaries of consultations.

Source: a folder with healthcaremagic_dialogue_*.txt or icliniq_dialogue*.txt, or one such file:
consultations that begin with a line "id=NUMBER". The dialogue is the source of the summary; the
description, without its "Q.", the target. Splits are drawn: the published ones (181,122 / 22,641 /
rest and 24,851 / 3,105 / rest) were drawn without a seed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from data_utils.converter import Converter, Items
from data_utils.layouts import SUMMARY, summary
from data_utils.tables import open_text
from data_utils.writer import RejectedItem

SETS = ("healthcaremagic", "icliniq")
_BLOCK = re.compile(r"^id=\s*(\d+)[^\n]*$", re.MULTILINE)
_PARTS = re.compile(
    r"^Description[ \t]*$(?P<description>.*?)^Dialogue[ \t]*$(?P<dialogue>.*)",
    re.MULTILINE | re.DOTALL,
)


def read(args: argparse.Namespace) -> Items:
    """All consultations of the set."""
    is_file = args.source.is_file()
    paths = [args.source] if is_file else sorted(args.source.glob(f"{args.set}*.txt"))
    if not paths:
        raise FileNotFoundError(f"{args.source}: expected {args.set}*.txt, found none")
    for path in paths:
        before, blocks = _blocks(path)
        if before.strip():
            yield RejectedItem(path.stem, "text before the first id")
        for number, block in blocks:
            item = f"{path.stem}_{number}"
            parts = _PARTS.search(block)
            if parts is None:
                yield RejectedItem(item, "no description and dialogue")
                continue
            description = parts["description"].strip().removeprefix("Q.")
            yield summary(item, parts["dialogue"], description)


def _blocks(path: Path) -> tuple[str, Iterator[tuple[str, str]]]:
    """What stands before the first consultation, then number and text of each."""
    with open_text(path) as stream:
        pieces = _BLOCK.split(stream.read().replace("\r\n", "\n"))
    return pieces[0], zip(pieces[1::2], pieces[2::2], strict=True)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--set", choices=SETS, required=True, help="which of the two")


CONVERTER = Converter("meddialog", __doc__, SUMMARY, read, _add_arguments)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
