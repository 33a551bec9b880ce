"""What the row builders of pretraining share: tools, options and the assembly of an example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from PIL import Image

from biomedgpt_fairseq.data.composition import Example, RowOptions, RowTools, compose_example
from biomedgpt_fairseq.data.errors import BadRow, check_texts
from biomedgpt_fairseq.data.image import ImageSource
from biomedgpt_fairseq.data.negatives import Negatives
from biomedgpt_fairseq.data.pair_images import PairImages
from biomedgpt_fairseq.data.pixels import ImageScale, to_pixels
from biomedgpt_fairseq.data.text_infill import TextNoise
from biomedgpt_fairseq.text.instructions import Instruction, get_instruction
from biomedgpt_fairseq.text.tokenizer import Tokenizer
from biomedgpt_fairseq.text.vocab import Vocabulary

CODE_STRIDE = 8  # pixels of the code image to a code
_SIDE_CONF = 2.0


@dataclass(frozen=True)
class PretrainOptions:
    """Limits and forms.

    rows: limits of text; training: whether the random forms are used.
    max_image_size: the coordinate of the last location bin.
    code_image_size: side of the picture part that image codes describe, in pixels.
    variants: probability that a paraphrase replaces an instruction.
    flip: probability that a detection picture is mirrored.
    """

    rows: RowOptions = field(default_factory=RowOptions)
    training: bool = True
    max_image_size: int = 512
    code_image_size: int = 128
    variants: float = 0.0
    flip: float = 0.5

    def __post_init__(self) -> None:
        for name, value in (("instruction-variants", self.variants), ("detection-flip", self.flip)):
            if not 0 <= value <= 1:
                raise ValueError(f"--{name} must lie in [0, 1], found {value}")
        if self.code_image_size < CODE_STRIDE or self.code_image_size % CODE_STRIDE:
            raise ValueError(
                f"--code-image-size must be a multiple of {CODE_STRIDE}, "
                f"found {self.code_image_size}"
            )

    @cached_property
    def promptless_rows(self) -> RowOptions:
        """rows for examples whose decoder starts from nothing."""
        return replace(self.rows, prompt_type="none")

    @property
    def side(self) -> int:
        """Side of infilling and detection pictures: the code image is their middle."""
        return 2 * self.code_image_size

    @property
    def side_conf(self) -> float:
        """Weight of texts, infilling and detection; none where losses are only measured."""
        return _SIDE_CONF if self.training else 1.0

    @property
    def num_codes_per_image(self) -> int:
        """Codes of a code image."""
        return (self.code_image_size // CODE_STRIDE) ** 2


@dataclass(frozen=True)
class PretrainTools:
    """What the builders work with; each uses its own part.

    source, scale: how pictures are read and normalised.
    negatives: wrong texts, None outside training.
    """

    tokenizer: Tokenizer
    source: ImageSource
    scale: ImageScale
    pairs: PairImages
    noise: TextNoise
    negatives: Negatives | None = None


class Examples(tuple[Example, ...]):
    """What one row gives: one example, or several of one picture."""

    @property
    def truncated(self) -> bool:
        """Whether text of any of them was cut to fit the position tables."""
        return any(example.truncated for example in self)


@dataclass(frozen=True)
class Wording:
    """Source and target of an example as token ids, without bos and eos."""

    source: list[int]
    target: list[int]
    text: str


class Composer:
    """Makes the examples of one row."""

    def __init__(
        self, row_id: str, tools: PretrainTools, options: PretrainOptions, rng: np.random.Generator
    ) -> None:
        self.row_id = row_id
        self.encode = tools.tokenizer.encode
        self.vocab = tools.tokenizer.vocab
        self._tools = tools
        self.options = options
        self._rng = rng

    def instruction(self, name: str) -> Instruction:
        """The instruction of that name, or a paraphrase of it."""
        chosen = get_instruction(name)
        if self.options.variants > 0 and self._rng.random() < self.options.variants:
            return chosen.paraphrased(int(self._rng.integers(len(chosen.paraphrases))))
        return chosen

    def fill(self, name: str, *fields: str) -> list[int]:
        """Tokens of an instruction with its fields in place."""
        return self.encode(self.instruction(name).fill(*fields))

    def example(self, wording: Wording, conf: float = 1.0) -> Example:
        """An example without picture."""
        tools = RowTools(self._tools.tokenizer, get_instruction("caption"))
        answer = [*wording.target, Vocabulary.eos]
        rows = self.options.promptless_rows
        example = compose_example(self.row_id, wording.source, answer, wording.text, tools, rows)
        example.conf = conf
        return example

    def with_picture(self, picture: Image.Image, *examples: Example) -> Examples:
        """The examples with one RGB picture."""
        pixels = to_pixels(picture)
        for example in examples:
            example.image, example.image_scale = pixels, self._tools.scale
        return Examples(examples)

    def bins(self, bins: np.ndarray) -> list[int]:
        """Tokens of location bins."""
        return [self.vocab.first_bin + int(number) for number in bins.ravel()]


def columns(row: Sequence[str], names: tuple[str, ...], option: str) -> list[str]:
    """The cells of a row.  Raises BadRow that names the columns and the option to check."""
    if len(row) != len(names):
        raise BadRow(
            f"expected {len(names)} columns ({', '.join(names)}), found {len(row)}; check {option}"
        )
    check_texts(names, row)
    return list(row)
