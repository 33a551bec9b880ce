"""Lists of pictures with their classes, from folders or from a table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from biomedgpt_fairseq.data.image import IMAGE_SUFFIXES
from data_utils import tables
from data_utils.splits import SPLIT_ORDER, split_name


@dataclass(frozen=True)
class Picture:
    """One file with its class; `split` is empty where it is to be drawn."""

    path: Path
    label: str
    split: str = ""
    group: str = ""


def find_pictures(folder: Path, group_pattern: str = "") -> list[Picture]:
    """Pictures of DIR/CLASS or DIR/SPLIT/CLASS, sorted by path."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    tops = sorted(path for path in folder.iterdir() if path.is_dir())
    has_splits = bool(tops) and all(split_name(top.name) in SPLIT_ORDER for top in tops)
    classes = [
        (path, split_name(top.name) if has_splits else "")
        for top in tops
        for path in (sorted(p for p in top.iterdir() if p.is_dir()) if has_splits else [top])
    ]
    pictures = [
        Picture(path, class_folder.name, split, _group(path.relative_to(folder), group_pattern))
        for class_folder, split in classes
        for path in sorted(class_folder.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not pictures:
        raise ValueError(f"{folder}: expected CLASS/PICTURE or SPLIT/CLASS/PICTURE, found none")
    return pictures


def read_csv(table: Path, root: Path, group_pattern: str = "") -> list[Picture]:
    """Pictures of a CSV file with a header; paths are relative to `root`."""
    pictures = [
        Picture(
            tables.inside(root, row["path"]),
            row["label"],
            split_name(row.get("split") or ""),
            row.get("group") or _group(Path(row["path"]), group_pattern),
        )
        for row in tables.read_csv(table, ("path", "label"))
    ]
    if not pictures:
        raise ValueError(f"{table}: no rows")
    return pictures


def _group(path: Path, pattern: str) -> str:
    """First group, or all, of what `pattern` finds in the path; "" without a pattern."""
    if not pattern:
        return ""
    found = re.search(pattern, path.as_posix())
    if found is None:
        raise ValueError(f"--group-pattern {pattern!r} finds nothing in {path}")
    return found.group(1) if found.groups() else found.group(0)
