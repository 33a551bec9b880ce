"""RQE -> entailment between two health questions.

Source: a folder with RQE_Train*.xml and RQE_Test*.xml, <pair pid value="true|false"> with <chq> and
<faq>. "true" becomes entailment; "false" says that entailment was not found, which is neutral, or
with --false-label 2 contradiction (answers "yes" and "no", never "maybe").
"""

from __future__ import annotations

import argparse
import sys

from data_utils.converter import Converter, Items
from data_utils.layouts import CONTRADICTION, ENTAILMENT, NEUTRAL, NLI, inference
from data_utils.tables import find_file, read_xml
from data_utils.writer import RejectedItem

FILES = {"train": "RQE_Train*.xml", "test": "RQE_Test*.xml"}


def read(args: argparse.Namespace) -> Items:
    """Pairs of both splits."""
    labels = {"true": ENTAILMENT, "false": args.false_label}
    for split, pattern in FILES.items():
        for pair in read_xml(find_file(args.source, pattern)).iter("pair"):
            item, value = f"{split}_{pair.get('pid')}", pair.get("value", "")
            if value in labels:
                texts = pair.findtext("chq", ""), pair.findtext("faq", "")
                yield inference(item, texts, labels[value], split)
            else:
                yield RejectedItem(item, "value is neither true nor false")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--false-label", choices=(NEUTRAL, CONTRADICTION), default=NEUTRAL, help="label of false"
    )


CONVERTER = Converter("rqe", __doc__, NLI, read, _add_arguments)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
