"""VQA-RAD -> the organ of a picture (head, chest or abd), in folds for cross-validation.

Source: as for data_utils.vqa_rad. Each picture is one row. The pictures of one fold are the test
split, validation rows are drawn from the others: run it for every --fold. Folds have equal shares
of the organs.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from data_utils import vqa_rad
from data_utils.converter import Converter
from data_utils.layouts import IMAGE_CLASSIFY, Record, classified_image

ORGANS = ("abd", "chest", "head")


def read(args: argparse.Namespace) -> Iterator[Record]:
    """Pictures with their organ."""
    if not 0 <= args.fold < args.folds:
        raise ValueError(f"--fold must lie in 0..{args.folds - 1}, found {args.fold}")
    organs: dict[Path, str] = {}
    for question in vqa_rad.read(args):
        image, organ = question.image, question.cells["objects"]
        assert image is not None  # every question has its picture
        if organs.setdefault(image, organ) != organ:
            raise ValueError(f"{image}: expected one organ, found {organs[image]} and {organ}")
    folds = assign_folds(organs, args.folds, args.seed)
    for image in sorted(organs):
        split = "test" if folds[image] == args.fold else "train"
        yield classified_image(image, organs[image], ORGANS, split)


def assign_folds(labels: Mapping[Path, str], folds: int, seed: int) -> dict[Path, int]:
    """A fold for each picture; those of one label are dealt out in random order."""
    names = sorted(labels)
    dealt: Counter[str] = Counter()
    chosen = {}
    for place in np.random.default_rng(seed).permutation(len(names)):
        image = names[int(place)]
        chosen[image] = dealt[labels[image]] % folds
        dealt[labels[image]] += 1
    return chosen


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folds", type=int, default=5, help="number of folds")
    parser.add_argument("--fold", type=int, default=0, help="which of them is the test split")


CONVERTER = Converter(
    "vqa_rad_organ", __doc__, IMAGE_CLASSIFY, read, _add_arguments, lambda args: ORGANS
)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
