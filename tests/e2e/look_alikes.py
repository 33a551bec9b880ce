"""Rows and files of small sources that look like data sets.

Given test splits have TEST rows, others are drawn from DRAWN rows, a quarter of them for testing.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Builder = Callable[[Path], dict[str, str]]
"""Fills a folder with a source and returns the settings that its script needs."""

TRAIN, VALID, TEST, DRAWN = 16, 8, 8, 40
QUARTERS = {"DATA_OPTIONS": "--fractions 0.5,0.25,0.25"}
ORGANS = ("lung", "heart", "liver", "spleen")


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    csv.writer(text).writerows([columns, *rows])
    raw = text.getvalue().encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def numbered(train: str, valid: str | None, test: str) -> Iterator[tuple[str, int]]:
    """Names of the splits with the numbers of their rows, all different."""
    sizes = {train: TRAIN, valid: VALID, test: TEST} if valid else {train: 2 * TRAIN, test: TEST}
    number = 0
    for name, size in sizes.items():
        for _ in range(size):
            yield str(name), number
            number += 1


def by_split(
    train: str, valid: str | None, test: str, make: Callable[[int], Any]
) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for name, number in numbered(train, valid, test):
        found.setdefault(name, []).append(make(number))
    return found


def question(number: int) -> dict[str, Any]:
    """Open and closed ones."""
    closed = bool(number % 2)
    return {
        "question": f"Is this a {ORGANS[number % 4]}?" if closed else "Which organ is shown?",
        "answer": ("Yes" if number % 4 == 1 else "No") if closed else ORGANS[number % 4],
    }


def sentence(number: int) -> str:
    return f"The {ORGANS[number % 4]} of case {number} is normal, without effusion."
