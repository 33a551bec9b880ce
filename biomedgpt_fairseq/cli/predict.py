"""`biomedgpt predict`: images and texts -> JSON lines with ranked answers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from biomedgpt_fairseq.cli.evaluate import add_checkpoint_arguments, load_request, placement


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    add_checkpoint_arguments(parser)
    parser.add_argument("--image", metavar="FILE", help="picture to ask about")
    parser.add_argument("--question", metavar="TEXT", help="question about the picture")
    parser.add_argument(
        "--text",
        action="append",
        default=[],
        metavar="TEXT",
        help="text to read; mnli: give two; text_classify: one or two",
    )
    parser.add_argument("--input", metavar="TSV", help="rows instead, in the task's column order")
    parser.add_argument("--top-k", type=int, default=5, metavar="K", help="answers to list")


def run(args: argparse.Namespace) -> int:
    """Print a line per row, return 0."""
    if args.input is not None and (args.image or args.question or args.text):
        raise ValueError("--input holds whole rows: give it without --image, --question, --text")
    if args.input is None and not (args.image or args.text):
        raise ValueError("nothing to answer: give --image, --text or --input")
    if args.top_k < 1:
        raise ValueError(f"--top-k must be at least 1, found {args.top_k}")
    from biomedgpt_fairseq.fairseq_predict import PredictionRequest, predict

    request = load_request(args, data=args.input)
    # Pictures of --input are named relative to its folder, whatever the training data's was.
    folder = Path(args.input).resolve().parent if args.input else Path.cwd()
    request.overrides.setdefault("image_root", str(folder))
    for record in predict(
        PredictionRequest(
            load=request,
            placement=placement(args),
            image=args.image,
            question=args.question,
            texts=args.text,
            input_file=args.input,
            selected_cols=args.selected_cols,
            batch_size=args.batch_size,
            top_k=args.top_k,
        )
    ):
        print(json.dumps(record, ensure_ascii=False), flush=True)
    return 0
