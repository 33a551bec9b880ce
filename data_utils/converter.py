"""What all converters share as programs: their options and their run."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from data_utils.corpus import Corpus, CorpusOptions, convert_corpus
from data_utils.images import ENCODINGS, ImagePolicy
from data_utils.layouts import Layout, Record
from data_utils.partition import parse_fractions
from data_utils.splits import SPLIT_ORDER, add_leak_argument, split_name
from data_utils.writer import RejectedItem, run_program

Items = Iterable[Record | RejectedItem]
_SHARED_OPTIONS = frozenset(
    ("source", "output", "fractions", "valid_share", "seed", "on_leak", "encoding", "max_side")
    + ("answers_from",)
)


@dataclass(frozen=True)
class Converter:
    """A program that makes the files of one task from one source.

    read: options -> the items of the source, whose place is `args.source`; add_arguments: options
    of its own, which are written on the card; classes: options -> the closed answer set, where the
    definition of the task fixes it.
    """

    name: str
    about: str | None
    layout: Layout
    read: Callable[[argparse.Namespace], Items]
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None
    classes: Callable[[argparse.Namespace], tuple[str, ...]] | None = None

    def build_parser(self) -> argparse.ArgumentParser:
        """Options of the program."""
        about = f"{self.about}\n\nTask of the rows: {self.layout.task}."
        parser = argparse.ArgumentParser(
            prog=f"data_utils.{self.name}",
            description=about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("source", type=Path, help="the data set, as it is distributed")
        parser.add_argument("--output", type=Path, required=True, help="folder to write to")
        if self.add_arguments is not None:
            self.add_arguments(parser)
        add_split_arguments(parser)
        parser.add_argument(
            "--valid-share",
            type=float,
            default=0.1,
            help="of the training part, for a validation split where the source has none; "
            "0: no validation split",
        )
        if self.layout.has_image:
            add_image_arguments(parser)
        if self._collects_answers:
            parser.add_argument(
                "--answers-from",
                default="train",
                help="splits whose answers make answers.json, comma-separated (default: train); "
                "naming test makes scores too good and is written on the card",
            )
        add_leak_argument(parser)
        return parser

    def run(self, args: argparse.Namespace) -> None:
        """Convert. Raises ValueError or FileNotFoundError on bad input."""
        if not args.source.exists():
            raise FileNotFoundError(f"no such file or folder: {args.source}")
        options = CorpusOptions(
            on_leak=args.on_leak,
            fractions=parse_fractions(args.fractions),
            valid_share=parse_share(args.valid_share),
            seed=args.seed,
            images=image_policy(args) if self.layout.has_image else ImagePolicy(),
            answers_from=parse_splits(args.answers_from) if self._collects_answers else (),
        )
        own = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in vars(args).items()
            if name not in _SHARED_OPTIONS
        }
        classes = self.classes(args) if self.classes is not None else ()
        corpus = Corpus(
            f"data_utils.{self.name}", self.layout, self.read(args), [args.source], classes
        )
        convert_corpus(corpus, args.output, options, own)

    @property
    def _collects_answers(self) -> bool:
        return bool(self.layout.answer) and self.classes is None

    def main(self) -> int:
        """Exit status of the program."""
        return run_program(self.run, self.build_parser())


def add_split_arguments(parser: argparse.ArgumentParser) -> None:
    """How splits are drawn."""
    parser.add_argument(
        "--fractions", default="0.8,0.1,0.1", help="train, valid, test where no split is given"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the drawn splits")


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """How pictures are stored."""
    parser.add_argument("--encoding", choices=ENCODINGS, default="keep", help="of the pictures")
    parser.add_argument("--max-side", type=int, help="reduce larger pictures to this many pixels")


def image_policy(args: argparse.Namespace) -> ImagePolicy:
    """The choices of `add_image_arguments`."""
    return ImagePolicy(args.encoding, args.max_side)


def parse_share(share: float) -> float:
    """A share below 1."""
    if not 0 <= share < 1:
        raise ValueError(f"--valid-share must be at least 0 and below 1, found {share}")
    return share


def parse_splits(text: str) -> tuple[str, ...]:
    """Split names of a comma-separated list."""
    names = tuple(split_name(name.strip()) for name in text.split(",") if name.strip())
    if not names or not set(names) <= set(SPLIT_ORDER):
        raise ValueError(f"expected some of {', '.join(SPLIT_ORDER)}, found {text!r}")
    return names
