"""Captions of pictures in the tables of the caption survey: a picture's file name, tab, caption."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from data_utils.layouts import Record, caption
from data_utils.tables import find_file, inside, read_pairs

_TABLES = {"train": "train_images.tsv", "test": "test_images.tsv"}


def read_caption_tables(
    source: Path, images: tuple[str, ...], prefix: str, group_pattern: str
) -> Iterator[Record]:
    """Records of train_images.tsv and test_images.tsv.

    images: patterns of the picture folder's name; prefix: of the row ids; group_pattern: what it
    finds in a file name is the group, such as the study, that stays in one split; "": no groups.
    """
    folder = find_file(source, *images)
    for split, name in _TABLES.items():
        for file, text in read_pairs(source / name):
            yield caption(
                prefix, inside(folder, file), text, split, _find_group(file, group_pattern)
            )


def _find_group(name: str, pattern: str) -> str:
    if not pattern:
        return ""
    found = re.search(pattern, name)
    return found.group(0) if found else name
