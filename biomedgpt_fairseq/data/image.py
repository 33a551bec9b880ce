"""THE image path: cell of a row -> RGB picture -> normalised tensor."""

from __future__ import annotations

import binascii
import functools
import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pybase64
from PIL import Image
from torch import Tensor

from biomedgpt_fairseq.data.errors import BadRow as BadRow
from biomedgpt_fairseq.data.pixels import ImageScale, to_pixels

ImageColumn = Literal["auto", "base64", "path"]

HALF = (0.5, 0.5, 0.5)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

MAX_PIXELS = 89_478_485
"""Pixels of a picture, as in Pillow: 256 MiB in RGB.  A file of a few kB can claim any number."""
IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jp2", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
)
# Pillow knows more formats; some of them start other programs or are rarely tested.
_FORMATS = ("PNG", "JPEG", "MPO", "JPEG2000", "BMP", "GIF", "TIFF", "WEBP", "PPM")
# What Pillow raises for damaged pictures, besides OSError (with UnidentifiedImageError).
_DECODING_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,  # an exception where warnings are errors
)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True)
class ImageSource:
    """What an image column holds and what is accepted.

    column: base64, a path, or auto: a path when the cell ends in a known image suffix.
    root: folder that paths are relative to and may not leave.
    max_pixels: larger pictures are refused before they are decoded; Pillow itself refuses those of
    more than 2 MAX_PIXELS.
    draft: side of the square that is wanted; lets JPEG decode at a fraction of its size, not below
    that side.  Faster, but pixels differ from a full decode, so None unless asked for.
    """

    column: ImageColumn = "auto"
    root: Path | None = None
    max_pixels: int = MAX_PIXELS
    draft: int | None = None


class Augmentation(Protocol):
    """Random changes of a training picture."""

    def on_image(self, image: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
        """RGB picture of any size -> RGB picture (size, size)."""

    def on_pixels(self, pixels: Tensor, scale: ImageScale, rng: np.random.Generator) -> Tensor:
        """(3, R, R) uint8 -> the same, or changed and normalised."""


class ImageTransform:
    """RGB picture -> normalised float32 tensor (3, size, size).

    The picture is stretched to the square (bicubic, antialiased).
    """

    def __init__(
        self, size: int, mean: Sequence[float] = HALF, std: Sequence[float] = HALF
    ) -> None:
        self.size = size
        self.scale = ImageScale(tuple(mean), tuple(std))

    def __call__(self, image: Image.Image) -> Tensor:
        return self.scale(to_pixels(self.resize(image)))

    def resize(self, image: Image.Image) -> Image.Image:
        """The picture as a square."""
        square = (self.size, self.size)
        if image.size == square:
            return image
        return image.resize(square, Image.Resampling.BICUBIC)


class ImageLoader:
    """Cell of an image column -> tensor (3, size, size), as bytes where possible.

    `scale` makes bytes into the normalised values.  They stay bytes until the trainer's process has
    them: a quarter of the memory to pass between processes.
    """

    def __init__(
        self,
        transform: ImageTransform,
        source: ImageSource | None = None,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.transform = transform
        self.scale = transform.scale
        self.source = source or ImageSource()
        self.augmentation = augmentation

    def __call__(self, cell: str, rng: np.random.Generator) -> Tensor:
        """uint8, or float32 when the augmentation changed normalised values.

        Raises BadRow when the cell holds no readable picture.
        """
        image = _load_grey_or_rgb(cell, self.source)
        if self.augmentation is None:
            # Grey stays one channel as long as it can: resized three times as fast, same values.
            return to_pixels(self.transform.resize(image))
        image = self.augmentation.on_image(image.convert("RGB"), self.transform.size, rng)
        return self.augmentation.on_pixels(to_pixels(image), self.scale, rng)


def load_image(cell: str, source: ImageSource | None = None) -> Image.Image:
    """RGB picture of a base64 text or a path.  Raises BadRow when there is none.

    16-bit grey values above 255 become white, transparency is dropped, not blended: as it was when
    the released models were trained.
    """
    return _load_grey_or_rgb(cell, source or ImageSource()).convert("RGB")


def _load_grey_or_rgb(cell: str, source: ImageSource) -> Image.Image:
    if source.column == "path" or (source.column == "auto" and _looks_like_path(cell)):
        return _decode(_find_file(cell, source.root), source, cell)
    return _decode(io.BytesIO(decode_base64(cell)), source, "base64 image")


def decode_base64(text: str) -> bytes:
    """Bytes of base64 text in the standard or the URL-safe alphabet.

    Raises BadRow when it is empty, cut, or holds other characters, white space included.
    """
    if not text:
        raise BadRow("expected an image as base64, found an empty cell")
    try:
        raw = text.encode("ascii")
        if "-" in text or "_" in text:
            raw = raw.translate(_URL_SAFE)
        return pybase64.b64decode(raw, validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        reason = str(error) if isinstance(error, binascii.Error) else "non-ASCII characters"
        raise BadRow(
            f"expected an image as base64, found {text[:20]!r}... of {len(text)} characters "
            f"({reason}); for paths use --image-column path"
        ) from None


def common_folder(paths: Sequence[str]) -> Path | None:
    """The folder of the files, for relative image paths; None when they lie in several."""
    folders = {Path(path).resolve().parent for path in paths}
    return folders.pop() if len(folders) == 1 else None


def _looks_like_path(cell: str) -> bool:
    # No base64 text has a dot; only the end of a long cell is looked at.
    return Path(cell[-8:]).suffix.lower() in IMAGE_SUFFIXES


def _find_file(cell: str, root: Path | None) -> Path:
    if root is None:
        raise BadRow(f"image path {cell!r} needs a folder; give --image-root")
    try:
        top = root.resolve()
        path = (top / cell).resolve()
        inside, exists = path.is_relative_to(top), path.is_file()
    except (ValueError, OSError) as error:
        raise BadRow(f"image path {cell[:200]!r} cannot be used: {error}") from None
    if not inside:
        raise BadRow(f"image path {cell!r} leaves the image folder {top}; see --image-root")
    if not exists:
        raise BadRow(f"image file {path} does not exist; see --image-root")
    return path


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _decode(file: io.BytesIO | Path, source: ImageSource, name: str) -> Image.Image:
    try:
        with Image.open(file, formats=_formats()) as image:
            width, height = image.size
            if width * height > source.max_pixels:
                raise BadRow(
                    f"{name}: {width} x {height} pixels, more than the limit of "
                    f"{source.max_pixels:,}; reduce the picture, or cut it into parts"
                )
            if source.draft is not None:
                image.draft("RGB", (source.draft, source.draft))
            if image.mode not in ("RGB", "L"):
                return image.convert("RGB")
            image.load()
            return image
    except BadRow:
        raise
    except _DECODING_ERRORS as error:
        raise BadRow(f"{name}: not a readable picture ({error})") from None
