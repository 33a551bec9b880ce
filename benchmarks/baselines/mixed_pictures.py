"""Decoding and augmenting the pictures of mixed pretraining, and nothing else."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from benchmarks.baselines.picture_decoding import decode_and_convert
from biomedgpt_fairseq.data.boxes import parse_box
from biomedgpt_fairseq.data.detection import parse_objects, random_view
from biomedgpt_fairseq.data.fairseq_pretrain import PretrainDataset
from biomedgpt_fairseq.data.mixture import Kind
from biomedgpt_fairseq.data.pair_images import PairImages
from biomedgpt_fairseq.data.pretrain_parts import PretrainOptions
from biomedgpt_fairseq.data.sampling import row_generator


@dataclass(frozen=True)
class Picture:
    """Bytes of a row's picture and what its augmentation depends on.

    boxes: cell of the box of a pair, or of all objects; "" without.  seed: of the row's randomness.
    """

    kind: Kind
    data: bytes
    boxes: str
    seed: tuple[int, int, int]


def pictures_of(dataset: PretrainDataset, epoch: int) -> list[Picture]:
    """The pictures of an epoch, in its order; texts have none."""
    found = []
    for slot in range(dataset.plan.slots(epoch)):
        for pick in dataset.plan.picks(epoch, slot):
            kind, rows = dataset.sources[pick.source]
            if kind != "text":
                row = rows.reader[pick.row]
                data = base64.b64decode(row[1])
                seed = (rows.seed, pick.epoch, pick.row)
                found.append(Picture(kind, data, _boxes_cell(kind, row), seed))
    return found


def _boxes_cell(kind: Kind, row: Sequence[str]) -> str:
    if kind == "detection":
        return row[2]
    return row[4] if kind == "image_text" and row[7] == "visual_grounding" else ""


def decode_and_augment(
    picture: Picture, pairs: PairImages, options: PretrainOptions
) -> Image.Image:
    """The picture as the network is to see it, before its normalisation."""
    image, rng = decode_and_convert(picture.data), row_generator(*picture.seed)
    if picture.kind == "image":
        return image
    if picture.kind == "detection":
        objects = parse_objects(picture.boxes)
        return random_view(image, objects, options.side, options.flip, rng)[0]
    if picture.boxes:
        return pairs.with_box(image, parse_box(picture.boxes), rng)[0]
    return pairs.plain(image, rng)
