"""THE worker of a shard: source items to checked TSV files with checksums.

A shard is finished when its card is there; all files appear under their names only when they are
complete. A worker that was killed leaves nothing that counts, and is simply run again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from biomedgpt_fairseq.data.tsv_writer import MAX_LISTED_REJECTS, TsvWriter, write_json
from data_utils.converter import Items
from data_utils.layouts import Layout, Record, as_texts
from data_utils.pretraining.sharding import Shard
from data_utils.writer import RejectedItem

logger = logging.getLogger(__name__)

CARD = "card"
SPLITS = ("train", "valid")
Card = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What all workers of a corpus have in common.

    options: everything that changes the rows. files: what is read, in an order that is the same
    everywhere. read: items of one file, as they come. make_rows: rows of an item with checked
    texts; raises RejectedItem. valid_share: part of the groups that goes to the validation file.
    """

    tool: str
    options: Mapping[str, object]
    root: Path
    files: Sequence[Path]
    layout: Layout
    columns: tuple[str, ...]
    read: Callable[[Path], Items]
    make_rows: Callable[[Record], Sequence[Sequence[str]]]
    valid_share: float = 0.0

    def facts(self, shard: Shard) -> Card:
        """What must be equal for a finished shard to be kept."""
        mine = self.files
        if self.is_by_file(shard):
            mine = [path for number, path in enumerate(mine) if shard.takes(number)]
        times = [(path.name, path.stat().st_mtime_ns) for path in mine]
        return {
            "tool": self.tool,
            "options": dict(self.options),
            "columns": list(self.columns),
            "shard": shard.index,
            "shards": shard.count,
            "source": {
                "files": len(self.files),
                "names_and_sizes": _digest(
                    [(_inside(p, self.root), p.stat().st_size) for p in self.files]
                ),
            },
            "times_of_own_files": _digest(times),
        }

    def is_by_file(self, shard: Shard) -> bool:
        """Whether shards share files out, or, where there are fewer files than shards, items."""
        return len(self.files) >= shard.count


def write_shard(job: Job, output: Path, shard: Shard) -> Card:
    """Write the shard's files and its card, unless it is finished; returns the card.

    Raises ValueError when the folder holds shards of another number of shards.
    """
    output.mkdir(parents=True, exist_ok=True)
    _refuse_other_count(output, shard)
    facts = job.facts(shard)
    card_path = output / shard.name(CARD, "json")
    if card_path.is_file():
        found = read_card(card_path)
        if all(found.get(name) == value for name, value in facts.items()) and not faults(
            found, output
        ):
            logger.info("%s: finished before, nothing to do", card_path.name)
            return found
        card_path.unlink()
    pattern = f".{shard.name('working', 'on')}"
    folder = output / f"{pattern}.{socket.gethostname()}-{os.getpid()}"
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(TsvWriter(folder / f"{split}.tsv", job.columns))
            for split in SPLITS
        }
        counts = _write_rows(job, shard, writers)
    files = {}
    for split, writer in writers.items():
        target = output / shard.name(split, "tsv")
        target.unlink(missing_ok=True)
        if writer.rows:  # an empty file is none that training could read
            files[target.name] = {"split": split, "rows": writer.rows, **file_facts(writer.path)}
            writer.path.replace(target)
    card = {**facts, **counts, "files": files}
    if shard.count == 1 and not files:
        raise ValueError(f"no item gives a row; rejected: {card['rejected']}")
    write_json(card_path, card)
    for left in output.glob(f"{pattern}.*"):  # of this worker, and of those that were killed
        shutil.rmtree(left, ignore_errors=True)
    logger.info("%s: %s", card_path.name, {name: fact["rows"] for name, fact in files.items()})
    return card


def read_card(path: Path) -> Card:
    """The card of a shard.  Raises ValueError when it is none."""
    try:
        card: Card = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: not a card: {error}; delete it and run the shard again"
        ) from error
    files = card.get("files") if isinstance(card, dict) else None
    # Their names become paths in the folder of the card.
    if not isinstance(files, dict) or not all(
        isinstance(fact, dict) and Path(name).name == name for name, fact in files.items()
    ):
        raise ValueError(f"{path}: not the card of a shard; choose another folder")
    return card


def faults(card: Card, folder: Path, by_checksum: bool = True) -> list[str]:
    """What is wrong with the files of a card: missing, or not what was written."""
    found = []
    for name, fact in card["files"].items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif path.stat().st_size != fact["bytes"]:
            found.append(f"{name} has {path.stat().st_size} bytes, not {fact['bytes']}")
        elif by_checksum and file_facts(path)["sha256"] != fact["sha256"]:
            found.append(f"{name} is not what was written: its checksum differs")
    return found


def file_facts(path: Path) -> dict[str, object]:
    """Size and checksum of a file."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _write_rows(job: Job, shard: Shard, writers: Mapping[str, TsvWriter]) -> Card:
    rejected: Counter[str] = Counter()
    listed: list[list[str]] = []
    total = 0
    for item in tqdm(_items(job, shard), unit="item", disable=None):
        total += 1
        try:
            record = _checked(item, job.layout)
            split = _split(record, job.valid_share)
            rows = job.make_rows(record)
        except RejectedItem as error:
            rejected[error.reason] += 1
            if len(listed) < MAX_LISTED_REJECTS:
                listed.append([error.item, error.reason])
            continue
        for row in rows:
            writers[split].write(row)
    logger.info("%d items; rejected: %s", total, dict(rejected))
    return {"items": total, "rejected": dict(sorted(rejected.items())), "rejects": listed}


def _items(job: Job, shard: Shard) -> Iterator[Record | RejectedItem]:
    """The items of the shard, in the order of the source."""
    by_file = job.is_by_file(shard)
    number = 0
    for place, path in enumerate(job.files):
        if by_file and not shard.takes(place):
            continue
        for item in job.read(path):
            if by_file or shard.takes(number):
                yield item
            number += 1


def _checked(item: Record | RejectedItem, layout: Layout) -> Record:
    if isinstance(item, RejectedItem):
        raise item
    record, fault = as_texts(item, layout)
    if fault:
        raise RejectedItem(item.item, fault)
    return record


def _split(record: Record, valid_share: float) -> str:
    """train or valid: given by the source, else drawn by the group, the picture or the item."""
    if record.split == "test":
        raise RejectedItem(record.item, "of the test split")
    if record.split == "valid":
        return "valid"
    key = record.group or record.cells.get("image_id") or record.item
    drawn = int.from_bytes(hashlib.sha256(str(key).encode()).digest()[:6]) / (1 << 48)
    return "valid" if drawn < valid_share else "train"


def _refuse_other_count(output: Path, shard: Shard) -> None:
    for path in output.glob(f"{CARD}*.json"):
        count = read_card(path).get("shards")
        if count != shard.count:
            raise ValueError(
                f"{output} holds {path.name} of {count} shards, this worker is of {shard.count}: "
                f"give --shards {count}, or choose another --output"
            )


def _inside(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path != root else path.name


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
