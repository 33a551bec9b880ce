"""Pictures of files as cells of pretraining rows."""

from __future__ import annotations

import argparse
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from data_utils.converter import image_policy
from data_utils.images import ImagePolicy, encode_file, open_verified, stored_size
from data_utils.layouts import Record
from data_utils.writer import RejectedItem


class Stored(NamedTuple):
    """Base64 of a picture, its (width, height) in the file, and that of what is stored."""

    cell: str
    size: tuple[int, int]
    stored_size: tuple[int, int]


def store(record: Record, args: argparse.Namespace) -> Stored:
    """The picture of an item; RejectedItem when the training loader could not read it."""
    if record.image is None:
        raise ValueError(f"{record.item}: expected a picture, found none")
    return _store(record.image, image_policy(args))


# Items of one picture mostly follow each other.
@lru_cache(maxsize=4)
def _store(path: Path, policy: ImagePolicy) -> Stored:
    size = open_verified(path, policy).size
    cell = encode_file(path, policy)
    return Stored(cell, size, stored_size(cell))


def size_of_file(path: Path) -> tuple[int, int]:
    """(width, height) of a picture, without decoding it; RejectedItem when there is none."""
    try:
        with Image.open(path) as picture:
            return picture.size
    except FileNotFoundError:
        raise RejectedItem(str(path), "no such file") from None
    except OSError as error:
        raise RejectedItem(str(path), "not a readable picture") from error


def crop_dark_border(picture: Image.Image) -> Image.Image:
    """The picture without a border below Otsu's threshold; all of it where that leaves nothing."""
    grey = picture.convert("L")
    threshold = _otsu_threshold(grey.histogram())
    return picture.crop(grey.point(lambda value: 255 * (value > threshold)).getbbox())


def _otsu_threshold(histogram: list[int]) -> int:
    """The grey value that parts the pixels into two classes with most variance between them."""
    total = sum(histogram)
    whole = sum(value * count for value, count in enumerate(histogram))
    best, threshold, below, weight = -1.0, 0, 0, 0
    for value, count in enumerate(histogram):
        below, weight = below + value * count, weight + count
        if 0 < weight < total:
            means = below / weight - (whole - below) / (total - weight)
            variance = weight * (total - weight) * means * means
            if variance > best:
                best, threshold = variance, value
    return threshold
