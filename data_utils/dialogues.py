"""Text files of MedDialog: consultations that begin with a line "id=NUMBER"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from data_utils.converter import Items
from data_utils.layouts import summary
from data_utils.tables import open_text
from data_utils.writer import RejectedItem

_BLOCK = re.compile(r"^id=\s*(\d+)[^\n]*$", re.MULTILINE)
_PARTS = re.compile(
    r"^Description[ \t]*$(?P<description>.*?)^Dialogue[ \t]*$(?P<dialogue>.*)",
    re.MULTILINE | re.DOTALL,
)


def read_dialogues(source: Path, patterns: tuple[str, ...]) -> Items:
    """Summaries: the dialogue is the source, the description, without its "Q.", the target."""
    paths = [source] if source.is_file() else [p for w in patterns for p in sorted(source.glob(w))]
    if not paths:
        raise FileNotFoundError(f"{source}: expected {' or '.join(patterns)}, found none")
    for path in paths:
        for number, block in _blocks(path):
            item = f"{path.stem}_{number}"
            parts = _PARTS.search(block)
            if parts is None:
                yield RejectedItem(item, "no description and dialogue")
                continue
            description = parts["description"].strip().removeprefix("Q.")
            yield summary(item, parts["dialogue"], description)


def _blocks(path: Path) -> Iterator[tuple[str, str]]:
    """Number and text of each consultation."""
    with open_text(path) as stream:
        pieces = _BLOCK.split(stream.read().replace("\r\n", "\n"))
    return zip(pieces[1::2], pieces[2::2], strict=True)
