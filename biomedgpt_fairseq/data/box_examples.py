"""Rows of pictures with boxes -> examples whose answers are location bins; and answers -> boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from biomedgpt_fairseq.data.boxes import BoxScale, checked_boxes, flip_boxes, parse_box
from biomedgpt_fairseq.data.composition import Example, RowOptions, RowTools, compose_example
from biomedgpt_fairseq.data.detection import Objects, parse_objects, random_view
from biomedgpt_fairseq.data.examples import take_columns
from biomedgpt_fairseq.data.image import ImageLoader, load_image
from biomedgpt_fairseq.data.pixels import to_pixels
from biomedgpt_fairseq.text.box_text import NamedBox, format_corners
from biomedgpt_fairseq.text.normalize import pre_caption
from biomedgpt_fairseq.text.vocab import Vocabulary

DETECTION_COLUMNS = ("id", "image", "labels")
GROUNDING_COLUMNS = ("id", "image", "text", "box")


@dataclass(frozen=True)
class BoxPictures:
    """How pictures are read where answers are boxes.

    scale: of the boxes.  random_views: parts of the picture at up to 1.5 times its size instead of
    all of it; flip: probability that the picture is mirrored.
    """

    loader: ImageLoader
    scale: BoxScale
    random_views: bool = False
    flip: float = 0.0

    def read(self, cell: str) -> Image.Image:
        """The RGB picture of a cell.  Raises BadRow when there is none."""
        return load_image(cell, self.loader.source)

    def view(
        self, image: Image.Image, objects: Objects, rng: np.random.Generator
    ) -> tuple[Image.Image, np.ndarray, list[str]]:
        """What the model sees, a square, with the bins (n, 4) and the names of the objects."""
        side = self.scale.side
        if not self.random_views:
            boxes = objects.boxes
            if self.flip and rng.random() < self.flip:
                image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
                boxes = flip_boxes(boxes, image.width)
            bins = self.scale.to_bins(boxes, image.size)
            return self.loader.transform.resize(image), bins, objects.names
        picture, seen = random_view(image, objects, side, self.flip, rng)
        return picture, self.scale.to_bins(seen.boxes, (side, side)), seen.names


@dataclass(frozen=True)
class BoxTools(RowTools):
    """What the row builders of boxes work with."""

    pictures: BoxPictures | None = None


def make_detection_example(
    row: Sequence[str], index: int, tools: RowTools, options: RowOptions, rng: np.random.Generator
) -> Example:
    """Picture -> four bins and the name of each object.  row: DETECTION_COLUMNS."""
    row_id, cell, labels = take_columns(row, DETECTION_COLUMNS)
    pictures = _pictures(tools)
    objects = parse_objects(labels)
    image = pictures.read(cell)
    objects = Objects(checked_boxes(objects.boxes, image.size), objects.names)
    picture, bins, names = pictures.view(image, objects, rng)
    answer: list[int] = []
    for corners, name in zip(bins, names, strict=True):
        answer += bin_tokens(corners, tools) + tools.tokenizer.encode(" " + name)
    source = tools.tokenizer.encode(tools.instruction.fill())
    answer.append(Vocabulary.eos)
    example = compose_example(row_id, source, answer, labels, tools, options)
    return _with_picture(example, picture, image.size, pictures)


def make_grounding_example(
    row: Sequence[str], index: int, tools: RowTools, options: RowOptions, rng: np.random.Generator
) -> Example:
    """Picture and text -> the bins of the region of the text.  row: GROUNDING_COLUMNS."""
    row_id, cell, text, corners = take_columns(row, GROUNDING_COLUMNS)
    pictures = _pictures(tools)
    image = pictures.read(cell)
    box = checked_boxes(parse_box(corners), image.size)
    picture, bins, _ = pictures.view(image, Objects(box, [text]), rng)
    asked = pre_caption(text, options.max_src_length)
    source = tools.tokenizer.encode(tools.instruction.fill(asked))
    answer = [*bin_tokens(bins, tools), Vocabulary.eos]
    gold = format_corners(box[0])
    example = compose_example(row_id, source, answer, gold, tools, options)
    return _with_picture(example, picture, image.size, pictures)


def bin_tokens(bins: np.ndarray, tools: RowTools) -> list[int]:
    """Tokens of location bins."""
    return [tools.tokenizer.vocab.first_bin + int(number) for number in bins.ravel()]


@dataclass(frozen=True)
class BoxTokens:
    """One object of an answer: its bins (4,), the tokens of its name, and the mean log-probability
    of all of them.
    """

    bins: list[int]
    name: list[int]
    log_score: float

    @property
    def score(self) -> float:
        """Geometric mean of the probabilities of the tokens, in [0, 1]."""
        return math.exp(min(self.log_score, 0.0))


def split_answer(
    tokens: Sequence[int], lprobs: Sequence[float], vocab: Vocabulary
) -> list[BoxTokens]:
    """The objects of an answer, with or without eos.

    lprobs: log-probability of each token.  Raises ValueError for tokens that are no sequence of
    four bins, with or without a name behind them.
    """
    length = len(tokens) - 1 if tokens and tokens[-1] == vocab.eos else len(tokens)
    is_bin = [vocab.first_bin <= t < vocab.first_bin + vocab.num_bins for t in tokens[:length]]
    starts = [i for i in range(length) if is_bin[i] and (i == 0 or not is_bin[i - 1])]
    if not starts or starts[0] != 0:
        raise ValueError(f"an answer of boxes must begin with a bin, found {list(tokens)[:9]}")
    found = []
    for start, end in zip(starts, [*starts[1:], length], strict=True):
        if is_bin[start:end].count(True) != 4:
            raise ValueError(f"expected four bins to a box, found {list(tokens[start:end])[:9]}")
        bins = [token - vocab.first_bin for token in tokens[start : start + 4]]
        mean = sum(lprobs[start:end]) / (end - start)
        found.append(BoxTokens(bins, list(tokens[start + 4 : end]), mean))
    return found


def named_boxes(
    objects: Sequence[BoxTokens], names: Sequence[str], scale: BoxScale, size: tuple[int, int]
) -> list[NamedBox]:
    """Objects of an answer in pixels of a picture of (width, height), each with its score."""
    boxes = scale.to_pixels([found.bins for found in objects], size)
    return [
        NamedBox((x0, y0, x1, y1), f"{found.score:.6f}", name)
        for (x0, y0, x1, y1), found, name in zip(boxes.tolist(), objects, names, strict=True)
    ]


def _pictures(tools: RowTools) -> BoxPictures:
    if not isinstance(tools, BoxTools) or tools.pictures is None:
        raise ValueError("rows of boxes need BoxTools with pictures")
    return tools.pictures


def _with_picture(
    example: Example, picture: Image.Image, size: tuple[int, int], pictures: BoxPictures
) -> Example:
    example.image, example.image_scale = to_pixels(picture), pictures.loader.scale
    example.image_size = size
    return example
