"""Checks that all shards of a corpus are there and belong together, and writes manifest.json."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from biomedgpt_fairseq.data.tsv_writer import write_json
from data_utils.pretraining.worker import CARD, Card, faults, file_facts, read_card
from data_utils.writer import run_program

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
_EQUAL = ("tool", "options", "columns", "shards", "source")
_MAX_LISTED = 10


def read_cards(folder: Path) -> list[Card]:
    """The cards of all shards, in order.

    Raises ValueError when shards are missing or come from other options or sources.
    """
    paths = sorted(folder.glob(f"{CARD}*.json"))
    if not paths:
        raise FileNotFoundError(f"{folder}: expected the cards of shards, found no such file")
    cards = sorted((read_card(path) for path in paths), key=lambda card: int(card["shard"]))
    for path, card in zip(paths, cards, strict=True):
        for name in _EQUAL:
            if card.get(name) != cards[0].get(name):
                raise ValueError(
                    f"{path}: {name} is {card.get(name)}, in shard {cards[0]['shard']} it is "
                    f"{cards[0].get(name)}; shards of one corpus need equal options and sources: "
                    "run again those that differ"
                )
    missing = sorted(set(range(cards[0]["shards"])) - {card["shard"] for card in cards})
    if missing:
        raise ValueError(
            f"{folder}: {len(missing)} of {cards[0]['shards']} shards are missing: "
            f"{', '.join(map(str, missing[:_MAX_LISTED]))}"
            f"{', ...' if len(missing) > _MAX_LISTED else ''}; run their workers again"
        )
    return cards


def check_files(folder: Path, cards: Sequence[Card], by_checksum: bool) -> None:
    """Raises ValueError that lists the files that are missing or changed, by size or checksum."""
    found = [fault for card in cards for fault in faults(card, folder, by_checksum)]
    if found:
        more = f"; and {len(found) - _MAX_LISTED} more" if len(found) > _MAX_LISTED else ""
        raise ValueError(
            f"{folder}: {'; '.join(found[:_MAX_LISTED])}{more}; run the workers of these shards "
            "again, they write what is missing"
        )


def make_manifest(cards: Sequence[Card]) -> Card:
    """What the shards hold together.  Raises ValueError when that is nothing."""
    rejected: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    files = []
    for card in cards:
        rejected.update(card["rejected"])
        for name, fact in card["files"].items():
            rows[fact["split"]] += fact["rows"]
            files.append({"name": name, "shard": card["shard"], **fact})
    if not files:
        raise ValueError(f"no item gives a row; rejected: {dict(rejected)}")
    return {
        **{name: cards[0][name] for name in _EQUAL},
        "items": sum(card["items"] for card in cards),
        "rejected": dict(rejected),
        "rows": dict(rows),
        "files": files,
    }


def join(folder: Path, manifest: Card) -> dict[str, dict[str, object]]:
    """Writes SPLIT.tsv of all shards, one after the other; returns size and checksum of each."""
    joined = {}
    for split in manifest["rows"]:
        target = folder / f"{split}.tsv"
        partial = target.with_name(target.name + ".partial")
        with partial.open("wb") as stream:
            for fact in manifest["files"]:
                if fact["split"] == split:
                    with (folder / fact["name"]).open("rb") as part:
                        shutil.copyfileobj(part, stream)
        partial.replace(target)
        joined[target.name] = file_facts(target)
    return joined


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="data_utils.pretraining.shards", description=__doc__)
    parser.add_argument("folder", type=Path, help="--output of the workers")
    parser.add_argument(
        "--verify", action="store_true", help="compare checksums, too; otherwise only sizes"
    )
    parser.add_argument(
        "--join", action="store_true", help="write one train.tsv and one valid.tsv from the shards"
    )
    return parser


def _run(args: argparse.Namespace) -> None:
    cards = read_cards(args.folder)
    check_files(args.folder, cards, args.verify)
    manifest = make_manifest(cards)
    if args.join and len(cards) > 1:
        manifest["joined"] = join(args.folder, manifest)
    write_json(args.folder / MANIFEST, manifest)
    logger.info(
        "%d shards are complete: %s; %d items; rejected: %s",
        len(cards),
        {split: f"{count} rows" for split, count in manifest["rows"].items()},
        manifest["items"],
        manifest["rejected"],
    )


if __name__ == "__main__":
    sys.exit(run_program(_run, _build_parser()))
