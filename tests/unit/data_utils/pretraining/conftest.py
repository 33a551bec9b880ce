"""Running the programs for pretraining corpora."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from biomedgpt_fairseq.data.tsv import TsvReader
from data_utils.pretraining.program import Kind


class Written:
    """Output folder of a worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, columns: str | None = None, split: str = "train") -> list[list[str]]:
        path = self.folder / f"{split}.tsv"
        return list(TsvReader(str(path), columns)) if path.is_file() else []

    @property
    def card(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "card.json").read_text(encoding="utf-8"))
        return found


Work = Callable[..., Written]


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """Runs a program with the words of a command line; no validation file unless asked for."""

    def run(kind: Kind, corpus: str, source: Path, *words: str) -> Written:
        output = tmp_path / "written"
        shared = ["--output", str(output), "--valid-share", "0"]
        kind.run(kind.build_parser().parse_args([corpus, str(source), *shared, *words]))
        return Written(output)

    return run
