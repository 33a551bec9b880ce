"""Targets: cells and rows of tables with their pictures, and options that are lists."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from biomedgpt_fairseq.data import box_examples, examples, infill_rows, pretrain_rows
from biomedgpt_fairseq.data.answers import parse_references
from biomedgpt_fairseq.data.boxes import BoxScale, checked_boxes, parse_box
from biomedgpt_fairseq.data.detection import make_detection_examples, parse_objects
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import (
    HALF,
    ImageLoader,
    ImageSource,
    ImageTransform,
    load_image,
)
from biomedgpt_fairseq.data.negatives import Negatives
from biomedgpt_fairseq.data.pair_images import PairImages
from biomedgpt_fairseq.data.pixels import ImageScale
from biomedgpt_fairseq.data.pretrain_parts import PretrainOptions, PretrainTools
from biomedgpt_fairseq.data.text_infill import NoiseOptions, TextNoise
from biomedgpt_fairseq.data.tsv import parse_columns
from biomedgpt_fairseq.text.bpe import Gpt2Bpe, derive_encoder
from biomedgpt_fairseq.text.instructions import get_instruction
from biomedgpt_fairseq.text.tokenizer import Tokenizer
from biomedgpt_fairseq.text.vocab import Vocabulary
from tests.fuzz.harness import Parse, Target, Wrong, text_target

SIDE = 32
SOURCE = ImageSource(max_pixels=1 << 20)
"""A small limit: a forged header must cost a fuzzed process no second."""
# A dataset replaces rows that raise this, so builders must raise nothing else.
BAD_ROW: Any = (BadRow,)
SEPARATORS = (b"\t", b"&&", b",", b"|!+", b" ")


def picture(file_format: str = "PNG", mode: str = "RGB", side: int = SIDE) -> bytes:
    """A file with a small picture."""
    values = np.arange(side * side * 3, dtype=np.uint32).reshape(side, side, 3) * 7 % 256
    file = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).convert(mode).save(file, file_format)
    return file.getvalue()


PNG, JPEG = (base64.b64encode(picture(kind, side=SIDE)).decode() for kind in ("PNG", "JPEG"))


@lru_cache
def tokenizer() -> Tokenizer:
    """A token for each byte, 64 codes, 1000 bins."""
    encoder = derive_encoder([])
    symbols = [str(i) for i in range(len(encoder))]
    return Tokenizer(Vocabulary(symbols, num_codes=64, num_bins=1000), Gpt2Bpe(encoder, []))


def _row_target(
    name: str, make: Callable[..., object], task: str, *rows: tuple[str, ...]
) -> Target:
    """A row builder of a task."""

    def open_(_: Path) -> Parse:
        loader = ImageLoader(ImageTransform(SIDE), SOURCE)
        pictures = box_examples.BoxPictures(loader, BoxScale(SIDE, 512, 1000))
        tools = box_examples.BoxTools(
            tokenizer(), get_instruction(task), image=loader, pictures=pictures
        )
        options = examples.RowOptions(nli_words=("", "", ""))
        rng = np.random.default_rng(1)
        return lambda data: make(_cells(data), 0, tools, options, rng)

    return _table(f"row/{name}", open_, rows)


def _pretrain_target(name: str, make: Callable[..., object], *rows: tuple[str, ...]) -> Target:
    """A row builder of pretraining."""

    def open_(_: Path) -> Parse:
        tools = PretrainTools(
            tokenizer(),
            SOURCE,
            ImageScale(HALF, HALF),
            PairImages(SIDE, True),
            TextNoise(tokenizer(), NoiseOptions()),
            Negatives({"other": ["ct", "mri"]}, ["heart", "lung"], ["a film", "a scan"], {}),
        )
        options, rng = PretrainOptions(code_image_size=16), np.random.default_rng(1)
        return lambda data: make(_cells(data), tools, options, rng)

    return _table(f"pretrain/{name}", open_, rows)


def _table(name: str, open_: Callable[[Path], Parse], rows: tuple[tuple[str, ...], ...]) -> Target:
    samples = ["\t".join(row).encode() for row in rows]
    return Target(name, open_, samples, share=15, tokens=SEPARATORS, refusals=BAD_ROW)


def _cells(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").split("\t")


def _boxes(text: str) -> None:
    checked_boxes(parse_objects(text).boxes, (SIDE, SIDE))


def _box(text: str) -> None:
    checked_boxes(parse_box(text), (SIDE, SIDE))


def _open_pictures(_: Path) -> Parse:
    return lambda data: load_image(base64.b64encode(data).decode() or "=", SOURCE)


def _open_paths(folder: Path) -> Parse:
    """Pictures outside of the folder are white: none must ever be read."""
    root, outside = folder / "root", folder / "outside"
    for place in (root / "deep", outside):
        place.mkdir(parents=True)
    white = Image.new("RGB", (4, 4), "white")
    for place in (folder / "white.png", outside / "white.png"):
        white.save(place)
    for place in (root / "black.png", root / "deep/black.png"):
        Image.new("RGB", (4, 4)).save(place)
    (root / "link.png").symlink_to(outside / "white.png")
    (root / "way").symlink_to(outside)
    source = ImageSource("path", root)

    def parse(data: bytes) -> None:
        cell = data.decode("utf-8", "replace").replace("ROOT", str(root))
        if load_image(cell, source).getpixel((0, 0)) != (0, 0, 0):
            raise Wrong(f"{cell!r} was read from outside of the folder")

    return parse


FORMATS = [picture(kind) for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")]
FORMATS += [picture("PNG", mode) for mode in ("L", "P", "1", "LA", "RGBA", "I;16")]
FORMATS += [picture("JPEG", "CMYK"), picture("GIF", "P"), picture("TIFF", "F")]
PATHS = (b"ROOT/", b"../outside/white.png", b"../white.png", b"way/", b"deep/../", b"./", b"link")

BOX = "1.5,2,20,30.25,3,left lung"
CODES = "1 2 3 63"
TARGETS = [
    text_target("cell/references", parse_references, "0.5|!+yes", "1|!+a&&0.3|!+b, c",
                share=60, tokens=SEPARATORS, refusals=BAD_ROW),
    text_target("cell/boxes", _boxes, BOX, f"{BOX}&&0,0,32,32,1,x", f"{BOX}&&",
                share=60, tokens=SEPARATORS, refusals=BAD_ROW),
    text_target("cell/box", _box, "1,2,3,4", "0.5,0.5,31.5,32",
                share=60, tokens=SEPARATORS, refusals=BAD_ROW),
    text_target("cell/codes", partial(infill_rows.parse_codes, count=4, num_codes=64), CODES,
                share=60, tokens=SEPARATORS, refusals=BAD_ROW),
    text_target("cell/gaps", lambda text: infill_rows.marked_tokens(text, tokenizer().encode, 5),
                "the <mask> is <mask> large", share=30, refusals=BAD_ROW),
    text_target("cell/base64", partial(load_image, source=SOURCE), PNG, JPEG,
                share=40, refusals=BAD_ROW),
    Target("cell/picture", _open_pictures, FORMATS, share=40, refusals=BAD_ROW,
           tokens=(b"IHDR", b"IDAT", b"\xff\xd8", b"\xff\xda", b"II*\0", b"RIFF")),
    Target("cell/path", _open_paths, [b"black.png", b"deep/black.png", b"ROOT/black.png"],
           share=20, tokens=PATHS, refusals=BAD_ROW),
    text_target("option/selected-cols", parse_columns, "0,1,2", "7", share=40),
    _row_target("vqa", examples.make_vqa_example, "vqa",
                ("1", PNG, "what is shown", "1.0|!+ct&&0.3|!+mri", "lung&&heart")),
    _row_target("caption", examples.make_caption_example, "caption",
                ("1", JPEG, "a film of the chest")),
    _row_target("classify", examples.make_classify_example, "image_classify", (PNG, "effusion")),
    _row_target("nli", examples.make_nli_example, "mnli", ("it is", "it is not", "2")),
    _row_target("text_classify", examples.make_text_classify_example, "text_classify",
                ("a note", "", "died"), ("a", "b", "x")),
    _row_target("summary", examples.make_summary_example, "summary", ("long text", "short")),
    _row_target("detection", box_examples.make_detection_example, "detection",
                ("1", PNG, BOX), ("2", JPEG, f"{BOX}&&0,0,9,9,1,cell")),
    _row_target("grounding", box_examples.make_grounding_example, "grounding",
                ("1", PNG, "the left lung", "1,2,20,30")),
    _pretrain_target("pairs", pretrain_rows.make_pair_examples,
                     ("1", PNG, "a film", "", "", "lung&&heart", "roco", "caption"),
                     ("2", PNG, "", "what is it", "1|!+ct", "", "slake", "qa"),
                     ("3", JPEG, "a lung", "", "1,2,20,30", "", "x", "visual_grounding")),
    _pretrain_target("text", infill_rows.make_text_examples, ("1", "the lungs are clear")),
    _pretrain_target("image", infill_rows.make_image_examples, ("1", PNG, CODES)),
    _pretrain_target("detection", make_detection_examples, ("1", PNG, BOX)),
]  # fmt: skip
