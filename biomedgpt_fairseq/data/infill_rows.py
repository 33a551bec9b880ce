"""Rows of text and of pictures with a hole -> examples that ask for what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import load_image
from biomedgpt_fairseq.data.pixels import to_pixels
from biomedgpt_fairseq.data.pretrain_parts import (
    Composer,
    Examples,
    PretrainOptions,
    PretrainTools,
    Wording,
    blank,
    columns,
)

TEXT_COLUMNS = ("id", "text")
IMAGE_COLUMNS = ("id", "image", "codes")

_READ_TOKENS = 512
_KEPT_TOKENS = 256


def make_text_examples(
    row: Sequence[str], tools: PretrainTools, options: PretrainOptions, rng: np.random.Generator
) -> Examples:
    """A row of TEXT_COLUMNS: corrupted text -> the text."""
    row_id, text = columns(row, TEXT_COLUMNS, "--text-selected-cols")
    text = text.strip().lower()
    if not text:
        raise BadRow("the text is empty")
    composer = Composer(row_id, tools, options, rng)
    # As the released models were trained: of long texts, the second half of the head.
    tokens = composer.encode(" " + text)[:_READ_TOKENS][-_KEPT_TOKENS:]
    noisy = tools.noise(np.array(tokens, dtype=np.int64), rng)
    before, after = _around(composer.instruction("text_infill").fill())
    source = [*composer.encode(before), *noisy.tolist(), *composer.encode(after)]
    example = composer.example(Wording(source, tokens, text), options.side_conf)
    example.image, example.image_is_real = blank(options.side), False
    example.is_code = False
    return Examples([example])


def make_image_examples(
    row: Sequence[str], tools: PretrainTools, options: PretrainOptions, rng: np.random.Generator
) -> Examples:
    """A row of IMAGE_COLUMNS: picture without its middle -> the image codes of the middle.

    Raises BadRow for a picture of another size and for other than the right number of codes.
    """
    row_id, cell, codes = columns(row, IMAGE_COLUMNS, "--image-selected-cols")
    composer = Composer(row_id, tools, options, rng)
    numbers = parse_codes(codes, options.num_codes_per_image, composer.vocab.num_codes)
    picture = load_image(cell, tools.source)
    side = options.side
    if picture.size != (side, side):
        raise BadRow(
            f"expected a picture of {side} x {side} pixels, twice --code-image-size, "
            f"found {picture.width} x {picture.height}"
        )
    target = [composer.vocab.first_code + number for number in numbers]
    wording = Wording(composer.fill("image_infill"), target, codes)
    example = composer.example(wording, options.side_conf)
    example.image = without_middle(tools.scale(to_pixels(picture)))
    example.is_code = True
    return Examples([example])


def parse_codes(cell: str, count: int, num_codes: int) -> list[int]:
    """Image codes, `count` numbers in [0, num_codes) with spaces between them, row by row.

    Raises BadRow for any other text.
    """
    words = cell.split()
    if len(words) != count:
        side = round(count**0.5)
        raise BadRow(
            f"expected {count} codes, a grid of {side} x {side}, found {len(words)}; "
            "check --code-image-size"
        )
    for word in words:
        if not (word.isascii() and word.isdigit() and int(word) < num_codes):
            raise BadRow(
                f"expected codes from 0 to {num_codes - 1}, found {word[:20]!r}; "
                "check --code-dict-size"
            )
    return [int(word) for word in words]


def without_middle(image: Tensor) -> Tensor:
    """A copy of a normalised picture (3, R, R) with its middle (R/2, R/2) at zero, mid-grey."""
    quarter = image.size(1) // 4
    hollow = image.clone()
    hollow[:, quarter:-quarter, quarter:-quarter] = 0
    return hollow


def _around(filled: str) -> tuple[str, str]:
    """The instruction before and behind the text, which goes between its quotation marks."""
    before, mark, after = filled.rpartition(' "')
    return before, mark + after
