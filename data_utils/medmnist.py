"""MedMNIST archives (`NAME.npz`, `NAME_64.npz`, ...) -> classification TSV files.

Columns: image (PNG in base64), label index, label name. Only the two-dimensional subsets.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from biomedgpt_fairseq.data.tsv_writer import write_json
from biomedgpt_fairseq.phantoms.case import png_base64
from data_utils.medmnist_labels import SUBSETS, Subset
from data_utils.npz_stream import Array, NpzArray
from data_utils.splits import LeakPolicy, add_leak_argument, decide_leaks
from data_utils.tables import read_json
from data_utils.writer import Conversion, Target, run_program

logger = logging.getLogger(__name__)

COLUMNS = ("image", "label_index", "label")
# Name of the arrays -> name of the file.
SPLITS = {"train": "train", "val": "valid", "test": "test"}
NO_LABEL = "no finding"
MultiLabel = Literal["error", "join"]


def convert(
    archive: Path,
    output: Path,
    on_leak: LeakPolicy = "error",
    labels_file: Path | None = None,
    multi_label: MultiLabel = "error",
) -> None:
    """Write train.tsv, valid.tsv, test.tsv, answers.json and card.json to `output`."""
    if not archive.is_file():
        raise FileNotFoundError(f"no such archive: {archive}")
    subset_name = archive.stem.split("_")[0].lower()
    subset, names = find_labels(archive, subset_name, labels_file)
    if subset is not None and subset.is_multi_label and multi_label == "error":
        raise ValueError(
            f"{archive.name}: a picture may have several of the {len(names)} labels; "
            "--multi-label join writes them as one answer, joined by ', '"
        )
    images = {split: _open_images(archive, split) for split in SPLITS}
    indices = {
        split: [np.atleast_1d(row) for row in NpzArray(archive, f"{split}_labels").rows()]
        for split in SPLITS
    }
    texts = {s: label_texts(rows, names, f"{archive.name} {s}") for s, rows in indices.items()}
    for split in SPLITS:
        if len(images[split]) != len(texts[split]):
            raise ValueError(f"{archive.name}: {split} has images and labels of different number")
    keys = {SPLITS[split]: _hash_images(images[split], split) for split in SPLITS}
    decision = decide_leaks(keys, on_leak)
    options = {"subset": subset_name, "on_leak": on_leak, "labels": names}
    conversion = Conversion(output, "data_utils.medmnist", options, [archive])
    for split, file in SPLITS.items():
        dropped = decision.dropped[file]
        total = len(texts[split]) - len(dropped)
        rows = _Rows(images[split], texts[split], dropped)
        conversion.write(Target(f"{file}.tsv", COLUMNS, total), rows.from_row, _make_row)
    answers = _answers(names, texts.values())
    write_json(output / "answers.json", answers)
    facts: dict[str, object] = {"leaks": decision.facts(), "answers": len(answers)}
    if subset is not None:
        facts["published_sizes"] = dict(zip(SPLITS.values(), subset.sizes, strict=True))
    conversion.finish(**facts)


def find_labels(
    archive: Path, subset_name: str, labels_file: Path | None
) -> tuple[Subset | None, tuple[str, ...]]:
    """The subset, where known, and its class names; a labels.json beside the archive goes first."""
    subset = SUBSETS.get(subset_name)
    beside = archive.with_name("labels.json")
    chosen = labels_file or (beside if beside.is_file() else None)
    if chosen is not None:
        return subset, read_labels(chosen)
    if subset is None:
        raise ValueError(
            f"{archive.name}: no known subset {subset_name!r} (known: {', '.join(SUBSETS)}); "
            "give its class names with --labels FILE.json"
        )
    return subset, subset.labels


def read_labels(path: Path) -> tuple[str, ...]:
    """Class names from JSON: a list, number -> name, name -> number, any of them under "label"."""
    found = read_json(path)
    if isinstance(found, dict) and isinstance(found.get("label"), dict):
        found = found["label"]
    if isinstance(found, list):
        return tuple(str(name) for name in found)
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected class names, found {found!r:.80}")
    pairs = {str(key): str(value) for key, value in found.items()}
    if pairs and not all(key.isdigit() for key in pairs):
        pairs = {number: name for name, number in pairs.items()}
    if sorted(pairs, key=int) != [str(number) for number in range(len(pairs))] or not pairs:
        raise ValueError(f"{path}: class numbers must be 0, 1, 2, ..., found {sorted(pairs)}")
    return tuple(pairs[str(number)] for number in range(len(pairs)))


def label_texts(rows: Iterable[Array], names: tuple[str, ...], where: str) -> list[tuple[str, str]]:
    """(index, name) of each row of labels, (1,) numbers or (classes,) of 0 and 1."""
    texts = []
    for number, row in enumerate(rows):
        chosen = np.flatnonzero(row) if len(row) > 1 else row
        if len(chosen) and not 0 <= int(min(chosen)) <= int(max(chosen)) < len(names):
            raise ValueError(f"{where} row {number + 1}: label {row} but {len(names)} class names")
        indices, labels = [str(int(k)) for k in chosen], [names[int(k)] for k in chosen]
        texts.append((",".join(indices), ", ".join(labels) or NO_LABEL))
    return texts


class _Rows:
    """Images with their labels, without the dropped ones."""

    def __init__(self, images: NpzArray, texts: list[tuple[str, str]], dropped: set[int]) -> None:
        self._images, self._texts = images, texts
        self._kept = [row for row in range(len(texts)) if row not in dropped]

    def from_row(self, start: int) -> Iterator[tuple[Array, tuple[str, str]]]:
        """Items from number `start` of the kept ones on."""
        if start >= len(self._kept):
            return
        first, kept = self._kept[start], set(self._kept[start:])
        for row, image in enumerate(self._images.rows(first), start=first):
            if row in kept:
                yield image, self._texts[row]


def _make_row(item: tuple[Array, tuple[str, str]]) -> list[str]:
    image, (index, label) = item
    return [png_base64(image), index, label]


def _open_images(archive: Path, split: str) -> NpzArray:
    images = NpzArray(archive, f"{split}_images")
    is_colour = len(images.shape) == 4 and images.shape[3] == 3
    if images.dtype != np.uint8 or not (len(images.shape) == 3 or is_colour):
        raise ValueError(
            f"{archive.name}: expected {split}_images as uint8 (N, H, W) or (N, H, W, 3), "
            f"found {images.dtype} {images.shape}; the 3-D subsets are not supported"
        )
    return images


def _hash_images(images: NpzArray, split: str) -> list[str]:
    bar = tqdm(images.rows(), desc=f"hash {split}", total=len(images), disable=None)
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in bar]


def _answers(names: tuple[str, ...], texts: Iterable[list[tuple[str, str]]]) -> dict[str, int]:
    """Closed answer set: the class names, then joined ones in order of appearance."""
    answers = dict.fromkeys(names)
    for column in texts:
        answers.update(dict.fromkeys(label for _, label in column))
    return {answer: index for index, answer in enumerate(answers)}


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="data_utils.medmnist", description=__doc__)
    parser.add_argument("archive", type=Path, help="NAME.npz or NAME_SIZE.npz")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--labels", type=Path, help="JSON with the class names (default: labels.json beside it)"
    )
    parser.add_argument(
        "--multi-label",
        choices=("error", "join"),
        default="error",
        help="what to do with chestmnist, whose pictures have any number of labels",
    )
    add_leak_argument(parser)
    return parser


def _run(args: argparse.Namespace) -> None:
    convert(args.archive, args.output, args.on_leak, args.labels, args.multi_label)


if __name__ == "__main__":
    sys.exit(run_program(_run, _build_parser()))
