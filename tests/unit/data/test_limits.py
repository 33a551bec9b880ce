"""Rows that are made to fill the memory, and paths that lead elsewhere, are bad rows."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biomedgpt_fairseq.data import tsv
from biomedgpt_fairseq.data.detection import parse_objects
from biomedgpt_fairseq.data.errors import MAX_TEXT, BadRow
from biomedgpt_fairseq.data.examples import NLI_COLUMNS, take_columns
from biomedgpt_fairseq.data.image import MAX_PIXELS, ImageSource, load_image
from biomedgpt_fairseq.data.infill_rows import TEXT_COLUMNS
from biomedgpt_fairseq.data.pretrain_parts import columns
from biomedgpt_fairseq.text.box_text import MAX_BOXES


def forged_png(width: int, height: int) -> str:
    """A few hundred bytes that claim to be a picture of that size."""
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG")
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = bytearray(file.getvalue())
    data[16:29] = header
    data[29:33] = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return base64.b64encode(bytes(data)).decode()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("width", "height"), [(MAX_PIXELS + 1, 1), (60_000, 60_000)])
def test_picture_of_too_many_pixels_is_refused_undecoded(width: int, height: int) -> None:
    with pytest.raises(BadRow, match="more than the limit of 89,478,485|decompression bomb"):
        load_image(forged_png(width, height))


def test_limit_of_pixels_can_be_chosen() -> None:
    cell = forged_png(100, 100)
    with pytest.raises(BadRow, match="100 x 100 pixels, more than the limit of 9,999; reduce"):
        load_image(cell, ImageSource(max_pixels=9_999))
    with pytest.raises(BadRow, match="not a readable picture"):  # within the limit: decoded
        load_image(cell, ImageSource(max_pixels=10_000))


def test_text_of_too_many_characters_is_refused_but_no_picture() -> None:
    long = "a" * (MAX_TEXT + 1)
    with pytest.raises(BadRow, match="column 'sentence2' has 1,000,001 characters, more than"):
        take_columns(["a", long, "1"], NLI_COLUMNS)
    with pytest.raises(BadRow, match="column 'text' has 1,000,001 characters"):
        columns(["1", long], TEXT_COLUMNS, "--text-selected-cols")
    assert take_columns([long, "a"], ("image", "label")) == [long, "a"]
    assert take_columns([long[1:], "a"], ("text", "label"))


def test_too_many_boxes_are_refused() -> None:
    box = "0,0,1,1,1,cell"
    assert len(parse_objects("&&".join([box] * 300)).names) == 300
    with pytest.raises(BadRow, match="10,001 objects in one picture, more than the limit"):
        parse_objects("&&".join([box] * (MAX_BOXES + 1)))


def test_file_without_line_ends_is_refused_without_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"x\ty\n" + b"z" * 2000)
    monkeypatch.setattr(tsv, "MAX_ROW_BYTES", 1000)
    reader = tsv.TsvReader(str(path))
    assert reader[0] == ["x", "y"]
    with pytest.raises(BadRow, match=r"a\.tsv:2: 2,000 bytes, more than the limit of 1,000; are"):
        reader[1]


@pytest.mark.parametrize("cell", ["../a.png", "deep/../../a.png", "{top}/a.png", "link.png"])
def test_image_paths_stay_in_their_folder(cell: str, tmp_path: Path) -> None:
    root = tmp_path / "images"
    (root / "deep").mkdir(parents=True)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    (root / "link.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(BadRow, match="leaves the image folder"):
        load_image(cell.format(top=tmp_path), ImageSource("path", root))
