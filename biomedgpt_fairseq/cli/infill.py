"""`biomedgpt infill`: texts and pictures with a gap -> what the model puts into it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biomedgpt_fairseq.cli.evaluate import add_checkpoint_arguments, load_request, placement

if TYPE_CHECKING:
    # fairseq takes seconds to import: not for --help.
    from biomedgpt_fairseq.fairseq_infill import Infiller, InfillRequest, TextRow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    add_checkpoint_arguments(parser)
    parser.set_defaults(task="unify_task")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--text", action="append", metavar="TEXT", help="text with <mask> at its gaps"
    )
    what.add_argument("--texts", metavar="TSV", help="rows of a text, or of an id and a text")
    what.add_argument(
        "--image",
        metavar="PATH",
        help="picture, folder of pictures, or .tsv of id, picture and, if known, codes",
    )
    parser.add_argument(
        "--mask-ratio", type=float, metavar="P", help="mask this share of the words, as in training"
    )
    parser.add_argument(
        "--rewrite",
        action="store_true",
        help="texts: the model writes all words anew, as in training, not only those in the gaps",
    )
    parser.add_argument("--nbest", type=int, default=1, metavar="N", help="fillings of each row")
    parser.add_argument(
        "--image-tokenizer",
        metavar="FILE",
        help="makes pixels of codes: the one that made the data, or embedded",
    )
    parser.add_argument("--results-path", metavar="DIR", help="folder for the report on pictures")


def run(args: argparse.Namespace) -> int:
    """Print a JSON line per row, return 0."""
    from biomedgpt_fairseq.fairseq_infill import Infiller

    if args.image is None and (args.image_tokenizer or args.results_path):
        raise ValueError("--image-tokenizer and --results-path go with --image")
    if args.image is not None and args.mask_ratio is not None:
        raise ValueError("--mask-ratio is for texts: of pictures, the middle is masked")
    infiller = Infiller(_request(args))
    fill = _fill_pictures if args.image is not None else _fill_texts
    for record in fill(args, infiller):
        print(json.dumps(record, ensure_ascii=False), flush=True)
    return 0


def _fill_texts(args: argparse.Namespace, infiller: Infiller) -> Iterator[dict[str, Any]]:
    return infiller.fill_texts(_text_rows(args))


def _fill_pictures(args: argparse.Namespace, infiller: Infiller) -> Iterator[dict[str, Any]]:
    from biomedgpt_fairseq.fairseq_infill_pictures import PictureInfilling, read_pictures
    from biomedgpt_fairseq.image_tokenizer.tokenizer import load_image_tokenizer

    tokenizer = args.image_tokenizer and load_image_tokenizer(args.image_tokenizer)
    filling = PictureInfilling(infiller, tokenizer or None)
    path = Path(args.image)
    rows = read_pictures(path, args.selected_cols, infiller.options, filling.num_codes)
    yield from filling.fill(rows)
    if args.results_path is not None:
        filling.write(Path(args.results_path), f"Infilling of {path.name}")


def _request(args: argparse.Namespace) -> InfillRequest:
    from biomedgpt_fairseq.fairseq_infill import InfillRequest

    load = load_request(args, data=None)
    if args.mask_ratio is not None:
        load.overrides["mask_ratio"] = args.mask_ratio
    return InfillRequest(
        load=load,
        placement=placement(args),
        generation=args.eval_args,
        nbest=args.nbest,
        rewrite=args.rewrite,
        batch_size=args.batch_size,
    )


def _text_rows(args: argparse.Namespace) -> Iterator[TextRow]:
    from biomedgpt_fairseq.data.tsv import TsvReader
    from biomedgpt_fairseq.fairseq_infill import TextRow

    noise = args.mask_ratio is not None
    if args.texts is None:
        for number, text in enumerate(args.text):
            yield TextRow(str(number), text, noise)
        return
    reader = TsvReader(args.texts, args.selected_cols)
    for number in range(len(reader)):
        *ids, text = reader[number]
        if len(ids) > 1:
            raise ValueError(
                f"{args.texts}: expected a text, or an id and a text, found {len(ids) + 1} "
                "columns; choose with --selected-cols"
            )
        yield TextRow(ids[0] if ids else str(number), text, noise, reader.locate(number))
