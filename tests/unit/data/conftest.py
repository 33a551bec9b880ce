"""What the tests of pretraining rows share."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from biomedgpt_fairseq.data.image import HALF, ImageSource
from biomedgpt_fairseq.data.negatives import Negatives
from biomedgpt_fairseq.data.pair_images import PairImages
from biomedgpt_fairseq.data.pixels import ImageScale
from biomedgpt_fairseq.data.pretrain_parts import PretrainOptions, PretrainTools
from biomedgpt_fairseq.data.text_infill import NoiseOptions, TextNoise
from biomedgpt_fairseq.text.bpe import Gpt2Bpe, derive_encoder
from biomedgpt_fairseq.text.tokenizer import Tokenizer
from biomedgpt_fairseq.text.vocab import Vocabulary


def encode_png(pixels: np.ndarray) -> str:
    """Base64 of (H, W, 3) uint8."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture(scope="session")
def byte_tokenizer() -> Tokenizer:
    """A token for each byte; words begin at their space.  64 codes, 1000 bins."""
    encoder = derive_encoder([])
    symbols = [str(i) for i in range(len(encoder))]
    return Tokenizer(Vocabulary(symbols, num_codes=64, num_bins=1000), Gpt2Bpe(encoder, []))


@pytest.fixture
def png() -> Callable[..., str]:
    """(width, height) -> a grey picture with a white square from (8, 8) to (16, 16)."""

    def make(width: int, height: int) -> str:
        pixels = np.full((height, width, 3), 60, np.uint8)
        pixels[8:16, 8:16] = 255
        return encode_png(pixels)

    return make


@pytest.fixture
def negatives() -> Negatives:
    answers = {
        "how many": ["0", "1", "2", "3"],
        "yes/no": ["yes", "no"],
        "organ": ["left lung", "heart"],
        "other": ["ct", "left lung", "mri"],
    }
    type_of = {a: kind for kind in ("how many", "yes/no", "organ") for a in answers[kind]}
    captions = ["ct of the abdomen", "a chest film", "mri of the brain"]
    return Negatives(answers, ["heart", "lung", "kidney"], captions, type_of)


@pytest.fixture
def pretrain_tools(
    byte_tokenizer: Tokenizer, negatives: Negatives
) -> Callable[..., tuple[PretrainTools, PretrainOptions]]:
    """Tools and options for pictures of 32 pixels and a code image of 32 (4 x 4 codes)."""

    def make(**changes: Any) -> tuple[PretrainTools, PretrainOptions]:
        options = replace(PretrainOptions(code_image_size=32), **changes)
        tools = PretrainTools(
            byte_tokenizer,
            ImageSource(),
            ImageScale(HALF, HALF),
            PairImages(32, options.training),
            TextNoise(byte_tokenizer, NoiseOptions()),
            negatives if options.training else None,
        )
        return tools, options

    return make
