"""HealthCareMagic, of MedDialog -> summaries of consultations.

Source: a folder with healthcaremagic_dialogue_*.txt, or one such file. Splits are drawn; the
published ones (181,122 / 22,641 / rest) were drawn without a seed.
"""

from __future__ import annotations

import argparse
import sys

from data_utils.converter import Converter, Items
from data_utils.dialogues import read_dialogues
from data_utils.layouts import SUMMARY


def read(args: argparse.Namespace) -> Items:
    """All consultations."""
    return read_dialogues(args.source, ("healthcaremagic*.txt",))


CONVERTER = Converter("healthcaremagic", __doc__, SUMMARY, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
