"""Lets stock fairseq take TSV files where it expects folders."""

import functools
import os
from typing import Any

from fairseq.data import data_utils

NAME = "_find_extra_valid_paths"


def install() -> None:
    """Make fairseq's search for forgotten validation files accept data that is not a folder.

    Stock lists the data path as a folder; a comma-separated list of TSV files names its validation
    file itself, so there is nothing to forget.  Raises ImportError on another fairseq.
    """
    stock: Any = getattr(data_utils, NAME, None)
    if stock is None:
        raise ImportError(f"fairseq.data.data_utils.{NAME} is missing: fairseq is not 0.12.2")
    if getattr(stock, "accepts_files", False):
        return

    @functools.wraps(stock)
    def find_extra_valid_paths(dataset_path: str) -> set[str]:
        return stock(dataset_path) if os.path.isdir(dataset_path) else set()

    find_extra_valid_paths.accepts_files = True  # type: ignore[attr-defined]
    setattr(data_utils, NAME, find_extra_valid_paths)
