"""Rows that several splits share: finding them, and what to do about them.

As a program it checks the TSV files of a data set, and can write them without the shared rows.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from biomedgpt_fairseq.data.tsv import TsvReader, parse_columns
from biomedgpt_fairseq.data.tsv_writer import TsvWriter
from data_utils.images import hash_cell
from data_utils.writer import run_program

logger = logging.getLogger(__name__)

LeakPolicy = Literal["error", "drop", "keep"]
LEAK_POLICIES: tuple[LeakPolicy, ...] = ("error", "drop", "keep")
# A shared row stays in the last of these, so that published validation and test sets stay whole.
SPLIT_ORDER = ("train", "valid", "test")
MAX_LISTED = 10

_ALIASES = {
    "training": "train",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "validate": "valid",
    "testing": "test",
}


@dataclass(frozen=True)
class Leak:
    """One key and the rows (split, row number from 0) that have it, in several splits."""

    key: str
    places: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        rows: dict[str, list[int]] = {}
        for split, row in self.places:
            rows.setdefault(split, []).append(row + 1)
        return " = ".join(
            f"{split} row {found[0]}" + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")
            for split, found in rows.items()
        )


@dataclass(frozen=True)
class LeakDecision:
    """What was found and which rows are left out."""

    policy: LeakPolicy
    leaks: list[Leak]
    dropped: dict[str, set[int]]

    def facts(self) -> dict[str, object]:
        """For the data card."""
        return {
            "policy": self.policy,
            "shared": len(self.leaks),
            "first": [str(leak) for leak in self.leaks[:MAX_LISTED]],
            "dropped": {split: len(rows) for split, rows in self.dropped.items() if rows},
        }


def split_name(name: str) -> str:
    """ "train", "valid" or "test" for their usual names; other names as they are."""
    return _ALIASES.get(name.lower(), name.lower() if name.lower() in SPLIT_ORDER else name)


def text_key(texts: Sequence[str]) -> str:
    """Key of texts that differ at most in case and white space."""
    joined = "\x1f".join(" ".join(text.casefold().split()) for text in texts)
    return hashlib.sha256(joined.encode()).hexdigest()


def find_leaks(keys: Mapping[str, Sequence[str]]) -> list[Leak]:
    """Keys that occur in more than one split; an empty key is never shared."""
    places: dict[str, list[tuple[str, int]]] = {}
    for split, column in keys.items():
        for row, key in enumerate(column):
            if key:
                places.setdefault(key, []).append((split, row))
    return [
        Leak(key, tuple(found))
        for key, found in places.items()
        if len({split for split, _ in found}) > 1
    ]


def decide_leaks(keys: Mapping[str, Sequence[str]], policy: LeakPolicy) -> LeakDecision:
    """The rows to leave out under the policy; ValueError that lists them for "error"."""
    leaks = find_leaks(keys)
    dropped: dict[str, set[int]] = {split: set() for split in keys}
    if leaks and policy == "error":
        listed = "; ".join(str(leak) for leak in leaks[:MAX_LISTED])
        more = f"; and {len(leaks) - MAX_LISTED} more" if len(leaks) > MAX_LISTED else ""
        raise ValueError(
            f"splits must not share rows, found {len(leaks)} shared: {listed}{more}; "
            "choose --on-leak drop (leave them out of the earlier split) or --on-leak keep"
        )
    if policy == "drop":
        for leak in leaks:
            kept = max((split for split, _ in leak.places), key=_rank)
            for split, row in leak.places:
                if split != kept:
                    dropped[split].add(row)
    decision = LeakDecision(policy, leaks, dropped)
    logger.info("leak check: %s", decision.facts())
    return decision


def _rank(split: str) -> int:
    return SPLIT_ORDER.index(split) if split in SPLIT_ORDER else len(SPLIT_ORDER)


def add_leak_argument(parser: argparse.ArgumentParser) -> None:
    """The option that all converters have."""
    parser.add_argument(
        "--on-leak",
        choices=LEAK_POLICIES,
        default="error",
        help="what to do when splits share rows: stop (default), drop them from the earlier "
        "split (train before valid before test), or keep them; the card records it",
    )


def row_keys(path: Path, image_column: int | None, text_columns: Sequence[int]) -> Iterator[str]:
    """One key for each row of a TSV file, from its picture's pixels and its texts."""
    reader = TsvReader(str(path))
    for row in tqdm(reader, desc=path.name, total=len(reader), unit="row", disable=None):
        parts = [row[column] for column in text_columns]
        if image_column is not None:
            parts.append(hash_cell(row[image_column]))
        yield text_key(parts)


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="data_utils.splits", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="one TSV file for each split")
    parser.add_argument("--image-column", type=int, help="column of the picture, from 0")
    parser.add_argument("--text-columns", default="", help="columns of texts, comma-separated")
    parser.add_argument("--output", type=Path, help="folder for the files without shared rows")
    add_leak_argument(parser)
    return parser


def _run(args: argparse.Namespace) -> None:
    text_columns = parse_columns(args.text_columns) if args.text_columns else []
    if args.image_column is None and not text_columns:
        raise ValueError("give --image-column, --text-columns or both: what makes rows equal")
    if (args.on_leak == "drop") != (args.output is not None):
        raise ValueError("--on-leak drop and --output DIR go together")
    paths = {split_name(path.stem): path for path in args.files}
    if len(paths) != len(args.files):
        raise ValueError("the files must have different names; the name tells the split")
    keys = {
        split: list(row_keys(path, args.image_column, text_columns))
        for split, path in paths.items()
    }
    decision = decide_leaks(keys, args.on_leak)
    if args.output is not None:
        for split, path in paths.items():
            _copy_without(path, args.output / path.name, decision.dropped[split])


def _copy_without(path: Path, target: Path, dropped: set[int]) -> None:
    if target.resolve() == path.resolve():
        raise ValueError(f"--output must be another folder than that of {path}")
    reader = TsvReader(str(path))
    columns = [f"column {number}" for number in range(len(reader[0]))]
    with TsvWriter(target, columns) as writer:
        for row in range(len(reader)):
            if row not in dropped:
                writer.write(reader[row])
    logger.info("%s: %d of %d rows kept", target, writer.rows, len(reader))


if __name__ == "__main__":
    sys.exit(run_program(_run, _build_parser()))
