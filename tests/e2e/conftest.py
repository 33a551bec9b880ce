"""Data sets and checkpoints that the end-to-end tests share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_commands import Corpus, train_command, train_here

from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.text.compact import train_compact_vocabulary

LOG_LEVEL = logging.getLogger().level
KINDS = {"image_classify": "classify", "vqa_gen": "vqa", "gigaword": "summary", "mnli": "nli"}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Eight training and five validation rows of every task."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = ["--train", "8", "--valid", "5", "--test", "0", "--size", "32"]
    for task, kind in KINDS.items():
        assert biomedgpt(["phantoms", "--task", kind, "--output", str(folder / task), *rows]) == 0
    texts = [
        line
        for task in KINDS
        for line in (folder / task / "corpus.txt").read_text("utf-8").split("\n")
    ]
    train_compact_vocabulary(texts, 600, folder / "vocabulary")
    return Corpus(folder)


@pytest.fixture(scope="session")
def trained(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints of four updates, with averaged weights."""
    paths = {}
    for task in ("image_classify", "vqa_gen", "gigaword"):
        save_dir = tmp_path_factory.mktemp(task)
        options = [
            "--max-update",
            "4",
            "--store-ema",
            "--ema-decay",
            "0.5",
            "--no-epoch-checkpoints",
        ]
        train_here(train_command(corpus, task, save_dir, *options))
        paths[task] = save_dir / "checkpoint_last.pt"
        assert paths[task].is_file()
    return paths


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """Programs change the root logger's level; tests of other folders count records."""
    yield
    logging.getLogger().setLevel(LOG_LEVEL)
