"""CheXpert -> classification of chest x-rays by one finding, present or not.

Source: the folder CheXpert-v1.0 or CheXpert-v1.0-small with train.csv and valid.csv (and test.csv
or test_labels.csv, where you have them): Path and a column for each finding, 1 present, 0 absent,
-1 uncertain, empty not mentioned, which counts as absent. Without valid.csv, the validation split
is drawn by patient.
"""

from __future__ import annotations

import argparse
import re
import sys

from data_utils.converter import Converter, Items
from data_utils.layouts import IMAGE_CLASSIFY, classified_image
from data_utils.tables import inside, read_csv
from data_utils.writer import RejectedItem

FINDINGS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
TABLES = {"train.csv": "train", "valid.csv": "valid", "test.csv": "test", "test_labels.csv": "test"}
PRESENT, ABSENT, UNCERTAIN = 1, 0, -1
VALUES = {
    **dict.fromkeys(("1.0", "1"), PRESENT),
    **dict.fromkeys(("0.0", "0", ""), ABSENT),
    **dict.fromkeys(("-1.0", "-1"), UNCERTAIN),
}
# The paths begin with the name of the release, whatever the folder is called now.
_INSIDE = re.compile(r"(?:^|/)((?:train|valid|test)/(patient\d+)/.*)")


def read(args: argparse.Namespace) -> Items:
    """Pictures of the wanted views."""
    labels = classes(args)
    tables = [args.source / name for name in TABLES if (args.source / name).is_file()]
    if not tables:
        raise FileNotFoundError(f"{args.source}: expected train.csv and valid.csv, found neither")
    for table in tables:
        for row in read_csv(table, ("Path", args.finding)):
            path = row["Path"]
            place = _INSIDE.search(path)
            value = VALUES.get(row[args.finding].strip())
            if value == UNCERTAIN and args.uncertain != "reject":
                value = PRESENT if args.uncertain == "present" else ABSENT
            if place is None:
                yield RejectedItem(path, "no split and patient in the path")
            elif args.view not in ("both", "lateral" if "lateral" in path else "frontal"):
                yield RejectedItem(path, "another view")
            elif value is None:
                yield RejectedItem(path, "unknown value of the finding")
            elif value == UNCERTAIN:
                yield RejectedItem(path, "uncertain")
            else:
                image = inside(args.source, place.group(1))
                label, split = labels[value], TABLES[table.name]
                yield classified_image(image, label, labels, split, place.group(2))


def classes(args: argparse.Namespace) -> tuple[str, str]:
    """Absent and present."""
    finding = args.finding.lower()
    return ("abnormal", "normal") if finding == "no finding" else (f"no {finding}", finding)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--finding", choices=FINDINGS, required=True, help="what is classified")
    parser.add_argument(
        "--uncertain", choices=("reject", "present", "absent"), default="reject", help="of -1"
    )
    parser.add_argument("--view", choices=("frontal", "lateral", "both"), default="frontal")


CONVERTER = Converter("chexpert", __doc__, IMAGE_CLASSIFY, read, _add_arguments, classes)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
