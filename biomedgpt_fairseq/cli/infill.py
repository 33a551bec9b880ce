"""`biomedgpt infill`: texts and pictures with a gap -> what the model puts into it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from biomedgpt_fairseq.cli.evaluate import add_checkpoint_arguments, load_request, placement

if TYPE_CHECKING:
    # fairseq takes seconds to import: not for --help.
    from biomedgpt_fairseq.fairseq_infill import InfillRequest, TextRow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    add_checkpoint_arguments(parser)
    parser.set_defaults(task="unify_task")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--text", action="append", metavar="TEXT", help="text with <mask> at its gaps"
    )
    what.add_argument("--texts", metavar="TSV", help="rows of a text, or of an id and a text")
    parser.add_argument(
        "--mask-ratio", type=float, metavar="P", help="mask this share of the words, as in training"
    )
    parser.add_argument("--nbest", type=int, default=1, metavar="N", help="fillings of each row")


def run(args: argparse.Namespace) -> int:
    """Print a JSON line per row, return 0."""
    from biomedgpt_fairseq.fairseq_infill import Infiller

    infiller = Infiller(_request(args))
    for record in infiller.fill_texts(_text_rows(args)):
        print(json.dumps(record, ensure_ascii=False), flush=True)
    return 0


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
