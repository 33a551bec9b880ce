"""Any folder of pictures -> classification TSV files.

Input: DIR/CLASS/*.png, DIR/SPLIT/CLASS/*.png, or with --csv a table with the columns path and label
and, where known, split and group (rows of one group, such as a patient, stay in one split).
Columns written: image (base64), label index, label name.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tqdm import tqdm

from biomedgpt_fairseq.data.tsv_writer import write_json
from data_utils.images import ENCODINGS, ImagePolicy, encode_file, hash_pixels, open_verified
from data_utils.partition import assign_by_group, assign_by_label, parse_fractions
from data_utils.picture_list import Picture, find_pictures, read_csv
from data_utils.splits import (
    SPLIT_ORDER,
    LeakPolicy,
    add_leak_argument,
    decide_leaks,
    split_name,
)
from data_utils.writer import Conversion, RejectedItem, Target, run_program

logger = logging.getLogger(__name__)

COLUMNS = ("image", "label_index", "label")


@dataclass(frozen=True)
class FolderOptions:
    """Choices of a conversion."""

    on_leak: LeakPolicy = "error"
    fractions: tuple[float, ...] = (0.8, 0.1, 0.1)
    seed: int = 1
    images: ImagePolicy = ImagePolicy()
    labels: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()


def assign_splits(pictures: Sequence[Picture], options: FolderOptions) -> list[Picture]:
    """The pictures with a split each, drawn where none is given."""
    given = sum(bool(picture.split) for picture in pictures)
    if given == len(pictures):
        return list(pictures)
    if given:
        raise ValueError(f"{given} of {len(pictures)} pictures have a split; give all or none")
    labels = [picture.label for picture in pictures]
    if any(picture.group for picture in pictures):
        # A picture without a group is a group of its own.
        groups = [picture.group or str(picture.path) for picture in pictures]
        splits = assign_by_group(labels, groups, options.fractions, options.seed)
    else:
        splits = assign_by_label(labels, options.fractions, options.seed)
    return [replace(picture, split=split) for picture, split in zip(pictures, splits, strict=True)]


def convert(
    pictures: Sequence[Picture], output: Path, options: FolderOptions, sources: Sequence[Path] = ()
) -> None:
    """Write one TSV file for each split, answers.json and card.json to `output`."""
    placed = assign_splits(pictures, options)
    by_split = _by_split(placed, options.splits)
    used = [picture for column in by_split.values() for picture in column]
    labels = options.labels or tuple(sorted({picture.label for picture in used}))
    unknown = sorted({picture.label for picture in used} - set(labels))
    if unknown:
        raise ValueError(f"labels {unknown} are not in the given list {list(labels)}")
    reasons: dict[Path, str] = {}
    keys = {s: [_hash(p.path, options.images, reasons) for p in c] for s, c in _bars(by_split)}
    decision = decide_leaks(keys, options.on_leak)
    facts = {**asdict(options), "labels": list(labels), "items": _digest(used)}
    conversion = Conversion(output, "data_utils.image_folder", facts, sources)

    def make_row(picture: Picture) -> list[str]:
        if picture.path in reasons:
            raise RejectedItem(str(picture.path), reasons[picture.path])
        image = encode_file(picture.path, options.images)
        return [image, str(labels.index(picture.label)), picture.label]

    for split, column in by_split.items():
        kept = [p for row, p in enumerate(column) if row not in decision.dropped[split]]

        def items_from(start: int, kept: list[Picture] = kept) -> Iterator[Picture]:
            return iter(kept[start:])

        conversion.write(Target(f"{split}.tsv", COLUMNS, len(kept)), items_from, make_row)
    write_json(output / "answers.json", {label: index for index, label in enumerate(labels)})
    conversion.finish(leaks=decision.facts(), answers=len(labels))


def _by_split(pictures: Sequence[Picture], wanted: Sequence[str]) -> dict[str, list[Picture]]:
    """Split -> its pictures, in the usual order; only the wanted splits, if any are named."""
    found = {picture.split for picture in pictures}
    missing = [split for split in wanted if split not in found]
    if missing:
        raise ValueError(f"no pictures in split {missing[0]!r}; found {sorted(found)}")
    rank = {split: place for place, split in enumerate(SPLIT_ORDER)}
    names = sorted(wanted or found, key=lambda split: (rank.get(split, len(rank)), split))
    return {name: [picture for picture in pictures if picture.split == name] for name in names}


def _bars(by_split: dict[str, list[Picture]]) -> Iterator[tuple[str, tqdm[Picture]]]:
    for split, column in by_split.items():
        yield split, tqdm(column, desc=f"check {split}", unit="image", disable=None)


def _hash(path: Path, policy: ImagePolicy, reasons: dict[Path, str]) -> str:
    """Hash of the pixels; "", and the reason noted, for a picture that cannot be read."""
    try:
        return hash_pixels(open_verified(path, policy))
    except RejectedItem as rejected:
        reasons[path] = rejected.reason
        return ""


def _digest(pictures: Sequence[Picture]) -> str:
    """Changes with the list of pictures, their splits, their sizes and times."""
    digest = hashlib.sha256()
    for picture in pictures:
        stat = picture.path.stat() if picture.path.is_file() else None
        times = (stat.st_size, stat.st_mtime_ns) if stat else ()
        digest.update(repr((str(picture.path), picture.label, picture.split, times)).encode())
    return digest.hexdigest()


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="data_utils.image_folder", description=__doc__)
    parser.add_argument("input", type=Path, help="folder of pictures")
    parser.add_argument("--csv", type=Path, help="table of path (inside the folder), label, ...")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--splits", default="", help="only these splits, comma-separated (default: all)"
    )
    parser.add_argument(
        "--fractions", default="0.8,0.1,0.1", help="train, valid, test where no split is given"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the drawn splits")
    parser.add_argument(
        "--group-pattern",
        default="",
        help="regular expression on the path: rows that it finds "
        "the same text in (its first group) stay in one split",
    )
    parser.add_argument("--labels", type=Path, help="JSON list of the classes, in their order")
    parser.add_argument("--encoding", choices=ENCODINGS, default="keep", help="of the pictures")
    parser.add_argument("--max-side", type=int, help="reduce larger pictures to this many pixels")
    add_leak_argument(parser)
    return parser


def _run(args: argparse.Namespace) -> None:
    labels: list[str] = json.loads(args.labels.read_text(encoding="utf-8")) if args.labels else []
    options = FolderOptions(
        on_leak=args.on_leak,
        fractions=parse_fractions(args.fractions),
        seed=args.seed,
        images=ImagePolicy(args.encoding, args.max_side),
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
