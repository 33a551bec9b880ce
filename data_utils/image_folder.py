"""Any folder of pictures -> classification TSV files.

Input: DIR/CLASS/*.png, DIR/SPLIT/CLASS/*.png, or with --csv a table with the columns path and label
and, where known, split and group (rows of one group, such as a patient, stay in one split).
Columns written: image (base64), label index, label name.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_utils.converter import add_image_arguments, add_split_arguments, image_policy
from data_utils.corpus import Corpus, CorpusOptions, convert_corpus
from data_utils.layouts import IMAGE_CLASSIFY, classified_image
from data_utils.partition import parse_fractions
from data_utils.picture_list import Picture, find_pictures, read_csv
from data_utils.splits import add_leak_argument, split_name
from data_utils.tables import read_json
from data_utils.writer import run_program


@dataclass(frozen=True)
class FolderOptions(CorpusOptions):
    """Choices of a conversion. labels: the classes in their order; splits: only these."""

    valid_share: float = 0.0
    labels: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()


def convert(
    pictures: Sequence[Picture], output: Path, options: FolderOptions, sources: Sequence[Path] = ()
) -> None:
    """Write one TSV file for each split, answers.json and card.json to `output`."""
    found = {picture.split for picture in pictures}
    missing = [split for split in options.splits if split not in found]
    if missing:
        raise ValueError(f"no pictures in split {missing[0]!r}; found {sorted(found)}")
    used = [p for p in pictures if not options.splits or p.split in options.splits]
    labels = options.labels or tuple(sorted({picture.label for picture in used}))
    unknown = sorted({picture.label for picture in used} - set(labels))
    if unknown:
        raise ValueError(f"labels {unknown} are not in the given list {list(labels)}")
    records = [classified_image(p.path, p.label, labels, p.split, p.group) for p in used]
    corpus = Corpus("data_utils.image_folder", IMAGE_CLASSIFY, records, sources, labels)
    convert_corpus(corpus, output, options, {"labels": list(labels)})


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="data_utils.image_folder", description=__doc__)
    parser.add_argument("input", type=Path, help="folder of pictures")
    parser.add_argument("--csv", type=Path, help="table of path (inside the folder), label, ...")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--splits", default="", help="only these splits, comma-separated (default: all)"
    )
    add_split_arguments(parser)
    parser.add_argument(
        "--group-pattern",
        default="",
        help="regular expression on the path: rows that it finds "
        "the same text in (its first group) stay in one split",
    )
    parser.add_argument("--labels", type=Path, help="JSON list of the classes, in their order")
    add_image_arguments(parser)
    add_leak_argument(parser)
    return parser


def _run(args: argparse.Namespace) -> None:
    labels = read_json(args.labels) if args.labels else []
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"--labels {args.labels}: expected a JSON list of texts, found {labels}")
    options = FolderOptions(
        on_leak=args.on_leak,
        fractions=parse_fractions(args.fractions),
        seed=args.seed,
        images=image_policy(args),
        labels=tuple(labels),
        splits=tuple(split_name(name) for name in args.splits.split(",") if name),
    )
    if args.csv is not None:
        pictures = read_csv(args.csv, args.input, args.group_pattern)
        convert(pictures, args.output, options, [args.csv])
    else:
        convert(find_pictures(args.input, args.group_pattern), args.output, options)


if __name__ == "__main__":
    sys.exit(run_program(_run, _build_parser()))
