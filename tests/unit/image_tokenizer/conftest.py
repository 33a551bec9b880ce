"""A tokenizer of a few thousand random weights, and pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from biomedgpt_fairseq.image_tokenizer.config import TokenizerConfig
from biomedgpt_fairseq.image_tokenizer.network import VqNetwork
from biomedgpt_fairseq.image_tokenizer.tokenizer import ImageTokenizer

SIZES = {
    "num_codes": 20,
    "code_dim": 4,
    "latent_channels": 6,
    "width": 8,
    "multipliers": (1, 1, 1, 2),
    "blocks": 1,
    "attention_levels": (3,),
    "groups": 4,
}


@pytest.fixture
def make_network():
    """Function (quantizer, **other sizes) -> small network, the same each time."""

    def make(quantizer: str = "plain", **changes: object) -> VqNetwork:
        torch.manual_seed(3)
        return VqNetwork(TokenizerConfig(quantizer=quantizer, **{**SIZES, **changes}))

    return make


@pytest.fixture
def make_picture():
    """Function (width, height, seed) -> picture of random colours in soft patches."""

    def make(width: int, height: int, seed: int = 0) -> Image.Image:
        coarse = np.random.default_rng(seed).integers(0, 255, (5, 4, 3), np.uint8)
        return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)

    return make


@pytest.fixture
def to_cell():
    """Function (picture) -> base64 of its PNG."""

    def encode(picture: Image.Image) -> str:
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
        return base64.b64encode(buffer.getvalue()).decode()

    return encode


@pytest.fixture
def tokenizer(make_network):
    return ImageTokenizer(make_network())
