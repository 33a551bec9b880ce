"""MedICaT: figures of open-access articles with their captions.

Source: a folder with a .jsonl file (fields pdf_hash, fig_uri and s2_caption) and
figures/PDFHASH_FIGURI. The label of the figure ("Figure 2.") is not part of the caption. Figures of
one article stay together. --radiology-only takes the figures with the field radiology.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

from data_utils.layouts import CAPTION, Record, caption
from data_utils.pretraining.program import Source, find_files
from data_utils.tables import check_rows, inside, open_text
from data_utils.writer import RejectedItem

FIELDS = ("pdf_hash", "fig_uri", "s2_caption")
KINDS: dict[str, type] = {"pdf_hash": str, "fig_uri": str}
PREFIX = "medicat"
_LABEL = re.compile(r"^\s*(?:supplementary\s+)?fig(?:ure)?s?\.?\s*S?\d+[a-z]?\s*[.:|-]?\s*", re.I)


def read(path: Path, args: argparse.Namespace) -> Iterator[Record | RejectedItem]:
    """Figures of one list."""
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                loaded = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path}:{number}: not valid JSON: {error}") from error
            (row,) = check_rows([loaded], FIELDS, path, KINDS)
            name = f"{row['pdf_hash']}_{row['fig_uri']}"
            if args.radiology_only and not row.get("radiology"):
                yield RejectedItem(name, "not radiology")
                continue
            text = row["s2_caption"]
            text = _LABEL.sub("", text) if isinstance(text, str) else text
            image = inside(path.parent / "figures", name)
            yield caption(PREFIX, image, text, group=row["pdf_hash"])


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--radiology-only", action="store_true", help="only radiology figures")


SOURCE = Source(__doc__ or "", CAPTION, read, find_files("*.jsonl", "*.jsonl.gz"), _add_arguments)
