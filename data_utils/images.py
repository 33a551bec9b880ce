"""Pictures on their way into a TSV file: verified by the training loader, hashed, re-encoded."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from biomedgpt_fairseq.data.image import MAX_PIXELS, BadRow, ImageSource, load_image
from data_utils.writer import RejectedItem

Encoding = Literal["keep", "png", "jpeg"]
ENCODINGS: tuple[Encoding, ...] = ("keep", "png", "jpeg")
_KEPT_FORMATS = ("PNG", "JPEG")
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class ImagePolicy:
    """How pictures are stored.

    encoding: keep the file's bytes where they are PNG or JPEG, or write anew.
    max_side: larger pictures are reduced, keeping their shape; None: never.
    """

    encoding: Encoding = "keep"
    max_side: int | None = None
    max_pixels: int = MAX_PIXELS


def hash_pixels(image: Image.Image) -> str:
    """Hash of the RGB pixels: equal for equal pictures, whatever the file format."""
    rgb = image.convert("RGB")
    digest = hashlib.sha256(f"{rgb.width}x{rgb.height}:".encode())
    digest.update(rgb.tobytes())
    return digest.hexdigest()


def hash_cell(cell: str) -> str:
    """Hash of the pixels of a base64 picture; "" for an empty cell."""
    return hash_pixels(load_image(cell, ImageSource("base64"))) if cell else ""


def open_verified(path: Path, policy: ImagePolicy) -> Image.Image:
    """The RGB picture of a file; RejectedItem when the training loader could not read it."""
    if not path.is_file():
        raise RejectedItem(str(path), "no such file")
    try:
        return load_image(path.name, ImageSource("path", path.parent, policy.max_pixels))
    except BadRow as error:
        is_large = "more than the limit" in error.reason
        reason = "too many pixels" if is_large else "not a readable picture"
        raise RejectedItem(str(path), reason) from error


def encode_file(path: Path, policy: ImagePolicy) -> str:
    """Base64 of a picture that has been verified."""
    raw = path.read_bytes()
    with Image.open(io.BytesIO(raw)) as image:
        fits = policy.max_side is None or max(image.size) <= policy.max_side
        if policy.encoding == "keep" and fits and image.format in _KEPT_FORMATS:
            return base64.b64encode(raw).decode("ascii")
        file_format = image.format or "PNG"
    return encode_image(open_verified(path, policy), policy, file_format)


def stored_size(cell: str) -> tuple[int, int]:
    """Width and height of a base64 picture, from its first bytes."""
    with Image.open(io.BytesIO(base64.b64decode(cell))) as image:
        return image.size


def encode_image(image: Image.Image, policy: ImagePolicy, file_format: str = "PNG") -> str:
    """Base64 of a picture, in the policy's encoding or, for "keep", in `file_format`."""
    if policy.max_side is not None and max(image.size) > policy.max_side:
        image = image.copy()
        image.thumbnail((policy.max_side, policy.max_side), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    wanted = file_format if policy.encoding == "keep" else policy.encoding.upper()
    if wanted == "JPEG":
        image.save(buffer, format="JPEG", quality=_JPEG_QUALITY)
    else:
        image.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
