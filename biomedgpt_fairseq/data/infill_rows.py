"""Rows of text and of pictures with a hole -> examples that ask for what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from biomedgpt_fairseq.data.composition import Example
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import load_image
from biomedgpt_fairseq.data.pixels import blank, to_pixels
from biomedgpt_fairseq.data.pretrain_parts import (
    Composer,
    Examples,
    PretrainOptions,
    PretrainTools,
    Wording,
    columns,
)
from biomedgpt_fairseq.text.vocab import MASK_SYMBOL

TEXT_COLUMNS = ("id", "text")
IMAGE_COLUMNS = ("id", "image", "codes")

KEPT_TOKENS = 256  # of a text, at most
_READ_TOKENS = 512


def make_text_examples(
    row: Sequence[str], tools: PretrainTools, options: PretrainOptions, rng: np.random.Generator
) -> Examples:
    """A row of TEXT_COLUMNS: corrupted text -> the text."""
    row_id, text = columns(row, TEXT_COLUMNS, "--text-selected-cols")
    text = text.strip().lower()
    if not text:
        raise BadRow("the text is empty; remove the row, or check --text-selected-cols")
    composer = Composer(row_id, tools, options, rng)
    # As the released models were trained: of long texts, the second half of the head.
    tokens = composer.encode(" " + text)[:_READ_TOKENS][-KEPT_TOKENS:]
    noisy = tools.noise(np.array(tokens, dtype=np.int64), rng)
    return Examples([text_example(composer, noisy.tolist(), tokens, text)])


def text_example(composer: Composer, noisy: list[int], tokens: list[int], text: str) -> Example:
    """The question for the text of `tokens` that was corrupted to `noisy`; at most KEPT_TOKENS."""
    options = composer.options
    before, after = _around(composer.instruction("text_infill").fill())
    source = [*composer.encode(before), *noisy, *composer.encode(after)]
    example = composer.example(Wording(source, tokens, text), options.side_conf)
    example.image, example.image_is_real = blank(options.side), False
    example.is_code = False
    return example


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
    check_side(picture, options.side)
    return Examples([image_example(composer, tools.scale(to_pixels(picture)), numbers)])


def marked_tokens(text: str, encode: Callable[[str], list[int]], mask: int) -> list[int]:
    """Tokens of a text whose gaps are written `<mask>`, with a mask at each gap, in lower case.

    The space before a mark goes with the word that is missing, as in training.
    Raises BadRow for a text that is empty or longer than was ever trained.
    """
    if not text.strip():
        raise BadRow("the text is empty")
    pieces = (" " + text.strip().lower()).split(MASK_SYMBOL)
    pieces = [piece.rstrip() for piece in pieces[:-1]] + pieces[-1:]
    tokens = encode(pieces[0])
    for piece in pieces[1:]:
        tokens += [mask, *encode(piece)]
    if len(tokens) > KEPT_TOKENS:
        raise BadRow(
            f"the text has {len(tokens)} tokens and pretraining reads {KEPT_TOKENS} at most; "
            "divide it"
        )
    return tokens


def image_example(composer: Composer, image: Tensor, codes: list[int]) -> Example:
    """The question for the codes of the middle of a normalised picture (3, side, side)."""
    target = [composer.vocab.first_code + code for code in codes]
    wording = Wording(composer.fill("image_infill"), target, " ".join(map(str, codes)))
    example = composer.example(wording, composer.options.side_conf)
    example.image = without_middle(image)
    example.is_code = True
    return example


def check_side(picture: Image.Image, side: int) -> None:
    """Raises BadRow for a picture of another size than side x side: codes of its middle would be
    those of another part.
    """
    if picture.size != (side, side):
        raise BadRow(
            f"expected a picture of {side} x {side} pixels, twice --code-image-size, "
            f"found {picture.width} x {picture.height}"
        )


def parse_codes(cell: str, count: int, num_codes: int) -> list[int]:
    """Image codes, `count` numbers in [0, num_codes) with spaces between them, row by row.

    Raises BadRow for any other text.
    """
    if num_codes < 1:
        raise BadRow("the vocabulary has no image codes; --code-dict-size must be positive")
    words = cell.split()
    if len(words) != count:
        side = round(count**0.5)
        raise BadRow(
            f"expected {count} codes, a grid of {side} x {side}, found {len(words)}; "
            "check --code-image-size"
        )
    for word in words:
        # The length first: Python refuses to make numbers of thousands of digits.
        if not (word.isascii() and word.isdigit() and len(word) < 20 and int(word) < num_codes):
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
