"""Pictures -> id, image: `biomedgpt image-codes extract --pretrain` adds the codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from PIL import Image

from biomedgpt_fairseq.data.image import IMAGE_SUFFIXES
from data_utils.converter import add_image_arguments, image_policy
from data_utils.images import encode_image, open_verified
from data_utils.layouts import PICTURE, Record
from data_utils.pretraining.program import Kind, Source
from data_utils.pretraining.stored import crop_dark_border
from data_utils.tables import open_text
from data_utils.writer import RejectedItem

FOLDER_ABOUT = """Any folder of pictures, such as CheXpert, NIH chest x-rays, Retina Image Bank.

Source: a folder; pictures below it are found by their suffixes. --only names a text file with a
name, with or without suffix, or a path inside of the folder, on each line: other pictures, such as
those of a test split, are left out.
"""


def find_pictures(place: Path) -> list[Path]:
    """All pictures below a folder, by path."""
    found = [path for path in sorted(place.rglob("*")) if path.suffix.lower() in IMAGE_SUFFIXES]
    if not found:
        raise FileNotFoundError(f"{place}: expected a folder of pictures, found none")
    return found


def read(path: Path, args: argparse.Namespace) -> Iterator[Record | RejectedItem]:
    """One picture."""
    name = path.relative_to(args.source).as_posix()
    if args.only is not None and not {name, path.name, path.stem} & _listed(args.only):
        yield RejectedItem(name, "not in the list")
        return
    yield Record(name, {}, image=path)


def make_rows(record: Record, args: argparse.Namespace) -> list[list[str]]:
    """The picture as a square."""
    if record.image is None:
        raise ValueError(f"{record.item}: expected a picture, found none")
    policy = image_policy(args)
    picture = open_verified(record.image, policy)
    if args.crop_dark_border:
        picture = crop_dark_border(picture)
    if args.side:
        picture = picture.resize((args.side, args.side), Image.Resampling.BICUBIC)
    return [[record.item, encode_image(picture, policy)]]


@cache
def _listed(path: Path) -> set[str]:
    with open_text(path) as stream:
        return {line.strip() for line in stream if line.strip()}


def _add_list_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", type=Path, help="text file with the names of wanted pictures")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--side",
        type=int,
        default=256,
        help="of the square that is stored, twice the --size of image-codes (default: 256); "
        "0: pictures keep their size",
    )
    parser.add_argument(
        "--crop-dark-border",
        action="store_true",
        help="cut off the border that is below Otsu's threshold first, as for the released models",
    )
    add_image_arguments(parser)


KIND = Kind(
    name="pictures",
    about=__doc__ or "",
    columns=("id", "image"),
    sources={
        "folder": Source(FOLDER_ABOUT, PICTURE, read, find_pictures, _add_list_argument),
    },
    make_rows=make_rows,
    add_arguments=_add_arguments,
)

if __name__ == "__main__":
    sys.exit(KIND.main())
