"""Conversion of a corpus into a folder of TSV files with a data card.

An interrupted conversion goes on where it stopped; files that are complete and come from the same
sources and options are not written again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from biomedgpt_fairseq.data.tsv_writer import TsvWriter, write_json

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
CARD = "card.json"


class RejectedItem(ValueError):
    """A source item that gives no row; `reason` is a short phrase that is counted."""

    def __init__(self, item: str, reason: str) -> None:
        super().__init__(f"{item}: {reason}")
        self.item = item
        self.reason = reason


@dataclass(frozen=True)
class Target:
    """One TSV file to write and the number of source items that go into it."""

    name: str
    columns: tuple[str, ...]
    total: int


class Conversion:
    """Writes the files of one corpus and keeps its card.

    tool: name of the converter; options: everything that changes its output; sources: input files
    whose size and time tell whether an earlier, unfinished conversion can be continued.
    """

    def __init__(
        self, folder: Path, tool: str, options: Mapping[str, object], sources: Sequence[Path]
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sources]
        described = json.dumps([tool, options, facts], sort_keys=True, default=str)
        self._key = hashlib.sha256(described.encode()).hexdigest()
        self._files: dict[str, dict[str, object]] = {}
        self._known = _known_files(folder / CARD, self._key)
        self._card: dict[str, object] = {
            "tool": tool,
            "options": dict(options),
            "sources": [str(path) for path in sources],
        }

    def write(
        self,
        target: Target,
        items_from: Callable[[int], Iterable[Item]],
        make_row: Callable[[Item], Sequence[str]],
    ) -> int:
        """Rows of one file; items for which `make_row` raises RejectedItem are counted, not kept.

        items_from(n): the items from number n on, for resuming.
        """
        done = self._known.get(target.name)
        path = self.folder / target.name
        if done is not None and path.is_file() and path.stat().st_size == done["bytes"]:
            logger.info("%s: complete, not written again", target.name)
            self._files[target.name] = done
            return int(str(done["rows"]))
        fingerprint = f"{self._key} {target.name} {target.total}"
        with TsvWriter(path, target.columns, fingerprint) as writer:
            if writer.taken:
                logger.info("%s: going on after item %d", target.name, writer.taken)
            bar = tqdm(
                items_from(writer.taken),
                desc=target.name,
                initial=writer.taken,
                total=target.total,
                unit="row",
                disable=None,
            )
            for item in bar:
                try:
                    row = make_row(item)
                except RejectedItem as rejected:
                    writer.reject(rejected.item, rejected.reason)
                    continue
                writer.write(row)
        self._note(target, path, writer)
        return writer.rows

    def finish(self, **facts: object) -> None:
        """Complete the card with further facts."""
        self._card.update(facts)
        self._save_card()

    def _note(self, target: Target, path: Path, writer: TsvWriter) -> None:
        self._files[target.name] = {
            "rows": writer.rows,
            "bytes": path.stat().st_size,
            "columns": list(target.columns),
            "rejected": writer.reject_counts,
            "rejects": [list(pair) for pair in writer.rejects],
        }
        for reason, count in writer.reject_counts.items():
            logger.warning("%s: %d items rejected: %s", target.name, count, reason)
        self._save_card()

    def _save_card(self) -> None:
        write_json(self.folder / CARD, {**self._card, "key": self._key, "files": self._files})


def _known_files(card: Path, key: str) -> dict[str, dict[str, object]]:
    """Files of an earlier run with the same key."""
    if not card.is_file():
        return {}
    try:
        found = json.loads(card.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{card}: not the card of a conversion: {error}; delete it to convert again"
        ) from error
    if not isinstance(found, dict) or found.get("key") != key:
        return {}
    files = found.get("files")
    return files if isinstance(files, dict) else {}


def run_program(run: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> int:
    """Exit status of a converter: 0, or 2 after a message when the input or the options are bad."""
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        run(args)
    except (ValueError, FileNotFoundError) as error:
        logger.error("%s: error: %s", parser.prog, error)
        return 2
    return 0
