from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import (
    ImageLoader,
    ImageSource,
    ImageTransform,
    common_folder,
    decode_base64,
    load_image,
)

RNG = np.random.default_rng(0)


def encode(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def picture(width: int = 12, height: int = 7) -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


PNG = encode(picture())
CELL = base64.b64encode(PNG).decode()


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size and holds almost nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def test_both_base64_alphabets_are_read() -> None:
    data = bytes(range(256))
    assert decode_base64(base64.b64encode(data).decode()) == data
    assert decode_base64(base64.urlsafe_b64encode(data).decode()) == data


@pytest.mark.parametrize(
    "cell", ["", CELL[:-3], CELL + "\n", CELL[:40] + " " + CELL[40:], "é" + CELL]
)
def test_damaged_base64_is_a_bad_row(cell: str) -> None:
    with pytest.raises(BadRow):
        load_image(cell)


@pytest.mark.parametrize("data", [b"not a picture", PNG[:20], PNG[: len(PNG) // 2]])
def test_damaged_picture_is_a_bad_row(data: bytes) -> None:
    with pytest.raises(BadRow, match="not a readable picture"):
        load_image(base64.b64encode(data).decode())


def test_truncated_jpeg_is_a_bad_row() -> None:
    data = encode(picture(200, 200), "JPEG")
    with pytest.raises(BadRow, match="truncated"):
        load_image(base64.b64encode(data[: len(data) // 2]).decode())


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 60_000])
def test_huge_picture_is_refused_before_decoding(side: int) -> None:
    with pytest.raises(BadRow, match="limit|decompression bomb"):
        load_image(base64.b64encode(png_header(side, side)).decode())


def test_pixel_limit_is_an_option() -> None:
    assert load_image(CELL, ImageSource(max_pixels=84)).size == (12, 7)
    with pytest.raises(BadRow, match="12 x 7 pixels, more than the limit of 83"):
        load_image(CELL, ImageSource(max_pixels=83))


def test_formats_that_run_programs_are_refused() -> None:
    with pytest.raises(BadRow):
        load_image(base64.b64encode(encode(picture(), "EPS")).decode())


def test_path_is_read_relative_to_the_root(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.png").write_bytes(PNG)
    source = ImageSource(root=tmp_path)
    expected = np.asarray(picture())
    np.testing.assert_array_equal(np.asarray(load_image("sub/a.png", source)), expected)
    inside = str(tmp_path / "sub" / "a.png")
    np.testing.assert_array_equal(np.asarray(load_image(inside, source)), expected)


def test_column_kind_decides(tmp_path: Path) -> None:
    (tmp_path / "noending").write_bytes(PNG)
    assert load_image("noending", ImageSource("path", tmp_path)).size == (12, 7)
    with pytest.raises(BadRow, match="base64"):
        load_image("noending", ImageSource("auto", tmp_path))
    with pytest.raises(BadRow, match="base64"):
        load_image("a.png", ImageSource("base64", tmp_path))
    assert load_image(CELL, ImageSource("auto", tmp_path)).size == (12, 7)


@pytest.mark.parametrize("cell", ["../a.png", "sub/../../a.png", "/etc/passwd.png", "link.png"])
def test_path_outside_the_root_is_refused(tmp_path: Path, cell: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "a.png").write_bytes(PNG)
    (root / "link.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(BadRow, match="leaves the image folder"):
        load_image(cell, ImageSource(root=root))


@pytest.mark.parametrize("cell", ["no.png", "folder.png", "a\0.png", "x" * 5000 + ".png"])
def test_path_to_no_file_is_a_bad_row(tmp_path: Path, cell: str) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(BadRow):
        load_image(cell, ImageSource(root=tmp_path))


def test_path_without_a_folder_asks_for_one() -> None:
    with pytest.raises(BadRow, match="--image-root"):
        load_image("a.png")


def test_common_folder_is_none_for_several(tmp_path: Path) -> None:
    assert common_folder([str(tmp_path / "a.tsv"), str(tmp_path / "b.tsv")]) == tmp_path.resolve()
    assert common_folder([str(tmp_path / "a.tsv"), str(tmp_path / "c" / "b.tsv")]) is None


def test_sixteen_bits_clip_and_transparency_is_dropped() -> None:
    deep = Image.fromarray(np.array([[0, 200, 256, 60_000]], dtype=np.uint16))
    cell = base64.b64encode(encode(deep)).decode()
    assert np.asarray(load_image(cell))[0, :, 0].tolist() == [0, 200, 255, 255]
    clear = Image.new("RGBA", (2, 2), (10, 20, 30, 0))
    cell = base64.b64encode(encode(clear)).decode()
    assert np.asarray(load_image(cell))[0, 0].tolist() == [10, 20, 30]


def test_values_are_normalised_per_channel() -> None:
    image = Image.new("RGB", (4, 4), (0, 51, 255))
    pixels = ImageTransform(2, (0.5, 0.0, 0.25), (0.5, 1.0, 0.75))(image)
    assert pixels.shape == (3, 2, 2)
    np.testing.assert_allclose(pixels[:, 0, 0], [-1.0, 0.2, 1.0], rtol=1e-6)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [5, 16, 224])
def test_grey_pictures_give_what_their_rgb_form_gives(kind: str, size: int) -> None:
    cell = base64.b64encode(encode(picture(70, 41).convert("L"), kind)).decode()
    transform = ImageTransform(size)
    loaded = ImageLoader(transform)(cell, RNG)
    assert loaded.shape == (3, size, size)
    assert torch.equal(transform.scale(loaded), transform(load_image(cell)))


def test_draft_is_only_used_when_asked_for() -> None:
    data = encode(picture(64, 64).resize((640, 640)), "JPEG")
    cell = base64.b64encode(data).decode()
    assert load_image(cell).size == (640, 640)
    assert load_image(cell, ImageSource(draft=100)).size == (160, 160)


def test_loader_applies_the_augmentation() -> None:
    class Black:
        def on_image(self, image, size, rng):  # type: ignore[no-untyped-def]
            return Image.new("RGB", (size, size))

        def on_pixels(self, pixels, scale, rng):  # type: ignore[no-untyped-def]
            return scale(pixels) + 3

    loaded = ImageLoader(ImageTransform(5), augmentation=Black())(CELL, RNG)
    assert loaded.shape == (3, 5, 5)
    assert bool((loaded == 2).all())
