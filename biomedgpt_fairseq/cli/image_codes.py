"""`biomedgpt image-codes`: codes of pictures, what they keep of them, tokenizers of one's own."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from biomedgpt_fairseq.cli import tokenizer_training
from biomedgpt_fairseq.cli.tokenizer_training import positive
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.tsv_writer import TsvWriter
from biomedgpt_fairseq.fairseq_placement import choose_placement
from biomedgpt_fairseq.image_tokenizer.extraction import (
    ExtractionOptions,
    extract,
    written_columns,
)
from biomedgpt_fairseq.image_tokenizer.pictures import RESIZE_RULES
from biomedgpt_fairseq.image_tokenizer.preview import make_preview
from biomedgpt_fairseq.image_tokenizer.sources import open_pictures
from biomedgpt_fairseq.image_tokenizer.tokenizer import (
    EMBEDDED,
    ImageTokenizer,
    load_image_tokenizer,
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the actions extract, preview and train."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    extraction = actions.add_parser("extract", help="write the codes of pictures")
    _add_input(extraction, required=True)
    _add_tokenizer(extraction)
    extraction.add_argument("--output", type=Path, required=True, metavar="TSV", help="to write")
    extraction.add_argument(
        "--resize",
        choices=RESIZE_RULES,
        default="both_sides",
        help="to a square (default), or the shorter side alone",
    )
    extraction.add_argument(
        "--pretrain",
        action="store_true",
        help="write rows for image infilling: the picture at twice --size, codes of its middle",
    )
    extraction.add_argument(
        "--on-bad-row",
        choices=("raise", "skip"),
        default="raise",
        help="stop at a picture that cannot be read (default), or name it and go on",
    )
    extraction.add_argument("--batch-size", type=positive, default=32, metavar="N")
    extraction.add_argument(
        "--num-workers", type=int, default=0, help="processes that read pictures"
    )

    preview = actions.add_parser("preview", help="draw pictures above their reconstructions")
    _add_input(preview, required=True)
    _add_tokenizer(preview)
    preview.add_argument("--output", type=Path, required=True, metavar="PNG", help="to write")
    preview.add_argument(
        "--count", type=positive, default=8, metavar="N", help="of pictures, the first ones"
    )

    training = actions.add_parser("train", help="train a small tokenizer")
    _add_input(training, required=False)
    tokenizer_training.add_arguments(training)


def _add_input(parser: argparse.ArgumentParser, required: bool) -> None:
    parser.add_argument(
        "--input",
        required=required,
        metavar="PATH",
        help="folder of pictures, or TSV files with 2 columns (id, picture) or 4 (id, image id, "
        "picture, text)" + ("" if required else "; default: phantoms"),
    )
    parser.add_argument("--selected-cols", metavar="N,N", help="which columns of the TSV files")
    parser.add_argument(
        "--size", type=positive, default=128, metavar="N", help="side of the coded picture"
    )


def _add_tokenizer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tokenizer",
        default=EMBEDDED,
        metavar="FILE",
        help="weights; default: the small ones of this package, trained on phantoms",
    )
    parser.add_argument("--cpu", action="store_true", help="use no GPU")


def run(args: argparse.Namespace) -> int:
    """Runs the chosen action; returns the exit status."""
    actions: dict[str, Callable[[argparse.Namespace], None]] = {
        "extract": _extract,
        "preview": _preview,
        "train": tokenizer_training.run,
    }
    actions[args.action](args)
    return 0


def _extract(args: argparse.Namespace) -> None:
    rows = open_pictures(args.input, args.selected_cols)
    tokenizer = _load(args)
    options = ExtractionOptions(
        args.size, args.resize, args.pretrain, args.batch_size, args.num_workers
    )
    columns = written_columns(rows, options)
    fingerprint = f"{rows.fingerprint()} {_identity(args.tokenizer)} {options} {args.on_bad_row}"
    with TsvWriter(args.output, columns, fingerprint) as writer:
        found = extract(rows, tokenizer, options, writer.taken)
        for row in tqdm(found, total=len(rows), initial=writer.taken, unit="row", disable=None):
            if not isinstance(row, BadRow):
                writer.write(row)
            elif args.on_bad_row == "raise":
                raise row
            else:
                logger.warning("left out: %s", row)
                writer.reject(f"row {writer.taken + 1}", row.reason)
        if not writer.rows:
            raise ValueError(f"{args.input}: none of the {len(rows)} pictures could be read")
    left_out = sum(writer.reject_counts.values())
    print(f"wrote {writer.rows} rows to {args.output}; left out: {left_out}")


def _preview(args: argparse.Namespace) -> None:
    rows = open_pictures(args.input, args.selected_cols)
    pictures = [rows[index].picture for index in range(min(args.count, len(rows)))]
    made = make_preview(pictures, _load(args), args.size)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    made.sheet.save(args.output, format="PNG")
    mean = sum(made.errors) / len(made.errors)
    print(
        f"wrote {args.output}: {len(pictures)} pictures, mean error {mean:.1f} of 255 grey levels"
    )


def _load(args: argparse.Namespace) -> ImageTokenizer:
    return load_image_tokenizer(args.tokenizer, choose_placement(cpu=args.cpu).device)


def _identity(tokenizer: str) -> str:
    """Text that changes when the weights do."""
    if tokenizer == EMBEDDED:
        return EMBEDDED
    stat = os.stat(tokenizer)
    return f"{tokenizer} {stat.st_size} {stat.st_mtime_ns}"
