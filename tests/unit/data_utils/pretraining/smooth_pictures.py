"""Pictures for perceptual hashes."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image


def picture(seed: int, side: int = 96) -> Image.Image:
    """Smooth, as pictures of the body are."""
    small = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def cell(image: Image.Image, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, **(options or {"format": "PNG"}))
    return base64.b64encode(buffer.getvalue()).decode()
