"""iCliniq, of MedDialog -> summaries of consultations.

Source: a folder with icliniq_dialogue*.txt, or one such file. Splits are drawn; the
published ones (24,851 / 3,105 / rest) were drawn without a seed.
"""

from __future__ import annotations

import argparse
import sys

from data_utils.converter import Converter, Items
from data_utils.dialogues import read_dialogues
from data_utils.layouts import SUMMARY


def read(args: argparse.Namespace) -> Items:
    """All consultations."""
    return read_dialogues(args.source, ("icliniq*.txt",))


CONVERTER = Converter("icliniq", __doc__, SUMMARY, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
