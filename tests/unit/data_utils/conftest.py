"""Running converters, and looking at what they wrote."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from biomedgpt_fairseq.data.tsv import TsvReader
from data_utils.converter import Converter


class Converted:
    """Output folder of a conversion."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, split: str, columns: str | None = None) -> list[list[str]]:
        return list(TsvReader(str(self.folder / f"{split}.tsv"), columns))

    def counts(self) -> dict[str, int]:
        found = {path.stem: len(self.rows(path.stem)) for path in self.folder.glob("*.tsv")}
        return {split: found[split] for split in ("train", "valid", "test") if split in found}

    def json(self, name: str) -> Any:
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))


Convert = Callable[..., Converted]
Draw = Callable[..., Path]


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """Runs a converter with the words of a command line."""

    def run(converter: Converter, source: Path, *words: str) -> Converted:
        output = tmp_path / "out"
        arguments = [str(source), "--output", str(output), *words]
        converter.run(converter.build_parser().parse_args(arguments))
        return Converted(output)

    return run


@pytest.fixture
def draw() -> Draw:
    """Writes a picture; equal seeds give equal pixels."""

    def write(path: Path, seed: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return write
