"""Decoding, resizing and normalisation against recorded pictures of the original."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from biomedgpt_fairseq.data.image import (
    HALF,
    IMAGENET_MEAN,
    IMAGENET_STD,
    ImageTransform,
    load_image,
)

pytestmark = pytest.mark.shared


@pytest.mark.parametrize("mean_std", ["half", "imagenet"])
@pytest.mark.parametrize("size", [256, 384, 480])
def test_every_recorded_picture_is_equal_to_the_bit(
    shared_dir: Path, size: int, mean_std: str
) -> None:
    folder = shared_dir / "golden" / "image"
    cases = json.loads((folder / "index.json").read_text())["cases"]
    mean, std = (HALF, HALF) if mean_std == "half" else (IMAGENET_MEAN, IMAGENET_STD)
    transform = ImageTransform(size, mean, std)
    for name, case in cases.items():
        if (case["patch_image_size"], case["mean_std"]) != (size, mean_std):
            continue
        cell = base64.b64encode((folder / case["file"]).read_bytes()).decode()
        image = load_image(cell)
        pixels = transform(image).numpy()
        assert pixels.dtype == np.float32
        assert list(pixels.shape) == case["shape"]
        resized = np.asarray(transform.resize(image))
        assert zlib.crc32(resized.tobytes()) == case["resized_u8_crc32"], name
        assert zlib.crc32(np.ascontiguousarray(pixels).tobytes()) == case["tensor_crc32"], name
