"""`biomedgpt checkpoint`: inspect, compare, convert, average and verify checkpoint files."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

LAYOUTS = ("fairseq", "safetensors", "huggingface")
PROBLEM = 1

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    inspect = actions.add_parser("inspect", help="tell what a checkpoint is")
    _add_path(inspect, "path")

    diff = actions.add_parser(
        "diff", help="compare the weights of two checkpoints; exit status 1 if they differ"
    )
    _add_path(diff, "first")
    _add_path(diff, "second")
    diff.add_argument(
        "--top", type=int, default=10, metavar="N", help="largest differences to list (default: 10)"
    )

    convert = actions.add_parser("convert", help="write a checkpoint in another layout")
    _add_path(convert, "source")
    _add_path(convert, "target")
    convert.add_argument(
        "--to", choices=LAYOUTS, help="layout of the target (default: fairseq for a name in .pt)"
    )
    convert.add_argument(
        "--weights-only",
        action="store_true",
        help="leave out optimizer, averages, counters and records of the training",
    )
    convert.add_argument(
        "--ema", action="store_true", help="the averaged weights in place of the plain ones"
    )
    convert.add_argument(
        "--bpe-dir", metavar="DIR", help="vocabulary folder, instead of the saved one"
    )
    convert.add_argument(
        "--trust", action="store_true", help="run the code that the source may hold, this once"
    )

    average = actions.add_parser("average", help="write the mean of several checkpoints' weights")
    average.add_argument("paths", nargs="+", type=Path, metavar="FILE", help="checkpoints")
    average.add_argument("--output", required=True, type=Path, metavar="FILE", help="a new .pt")

    verify = actions.add_parser(
        "verify", help="check sums, names, shapes and numbers; exit status 1 if anything is wrong"
    )
    verify.add_argument("paths", nargs="+", type=Path, metavar="FILE", help="checkpoints")


def _add_path(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument(
        name, type=Path, metavar=name.upper(), help="a .pt file or a checkpoint folder"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the chosen action; returns the exit status."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "inspect": _inspect,
        "diff": _diff,
        "convert": _convert,
        "average": _average,
        "verify": _verify,
    }
    return actions[args.action](args)


def _inspect(args: argparse.Namespace) -> int:
    from biomedgpt_fairseq.fairseq_checkpoint_report import inspected

    facts = inspected(args.path)
    width = max(len(name) for name, _ in facts)
    for name, fact in facts:
        print(f"{name:<{width}}  {fact}")
    return 0


def _diff(args: argparse.Namespace) -> int:
    from biomedgpt_fairseq.checkpoint_tools.compare import compare
    from biomedgpt_fairseq.fairseq_checkpoint_files import read

    first, second = read(args.first).state["model"], read(args.second).state["model"]
    found = compare(first, second)
    for title, names in (
        (f"only in {args.first}", found.only_first),
        (f"only in {args.second}", found.only_second),
        ("another shape or dtype", found.reformed),
    ):
        for name in names:
            print(f"{title}: {name}")
    same = len(first) - len(found.only_first) - len(found.reformed) - len(found.largest)
    print(f"{same} tensors are equal, {len(found.largest)} have other numbers")
    for name, difference in found.largest[: args.top]:
        print(f"{difference:.3e}  {name}")
    return PROBLEM if found else 0


def _convert(args: argparse.Namespace) -> int:
    from biomedgpt_fairseq.checkpoint_tools.content import (
        averaged_weights,
        training_parts,
        weights_only,
    )
    from biomedgpt_fairseq.fairseq_checkpoint_files import Layout, read, write
    from biomedgpt_fairseq.fairseq_hugging_face import copy_vocabulary

    layout: Layout | None = args.to or ("fairseq" if args.target.suffix == ".pt" else None)
    if layout is None:
        raise ValueError(f"say the layout of {args.target} with --to: {', '.join(LAYOUTS)}")
    if args.ema and not args.weights_only:
        raise ValueError("--ema needs --weights-only: the optimizer belongs to the plain weights")
    checkpoint = read(args.source, trust=args.trust)
    state = dict(checkpoint.state)
    if args.ema:
        averaged = averaged_weights(state)
        if not averaged:
            raise ValueError(f"{args.source}: no averaged weights (extra_state.ema)")
        state["model"] = {**state["model"], **averaged}
    if args.weights_only:
        dropped = training_parts(state)
        print(f"left out: {', '.join(dropped) or 'nothing'}")
        state = weights_only(state)
    vocabulary = None
    if checkpoint.layout == "huggingface" and layout != "huggingface":
        vocabulary = args.target.with_name(f"{args.target.stem}_vocab")
        task = {**state["cfg"]["task"], "bpe_dir": str(vocabulary)}
        state["cfg"] = {**state["cfg"], "task": task}
    write(replace(checkpoint, state=state), args.target, layout, args.bpe_dir)
    print(f"{args.target}: written")
    if vocabulary is not None:
        copy_vocabulary(args.source, vocabulary)
        print(f"{vocabulary}: vocabulary")
    return 0


def _average(args: argparse.Namespace) -> int:
    from biomedgpt_fairseq.checkpoint_tools.compare import average
    from biomedgpt_fairseq.checkpoint_tools.content import training_parts, weights_only
    from biomedgpt_fairseq.fairseq_checkpoint_files import read, write

    mean = average((str(path), read(path).state["model"]) for path in args.paths)
    last = read(args.paths[-1])
    print(f"left out: {', '.join(training_parts(last.state)) or 'nothing'}")
    state = {**weights_only(last.state), "model": mean}
    write(replace(last, state=state), args.output, "fairseq")
    print(f"{args.output}: mean of {len(args.paths)} checkpoints")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from biomedgpt_fairseq.fairseq_checkpoint_report import faults

    status = 0
    for path in args.paths:
        found = faults(path)
        print("\n".join(found) if found else f"{path}: sound")
        status = PROBLEM if found else status
    return status
