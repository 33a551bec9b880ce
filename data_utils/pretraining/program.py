"""What the programs for pretraining corpora share: a source, its options, a worker's run."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_utils.converter import Converter, Items, parse_share
from data_utils.layouts import Layout, Record
from data_utils.pretraining.sharding import add_shard_arguments, choose_shard
from data_utils.pretraining.worker import Job, write_shard
from data_utils.writer import run_program

_NOT_IN_KEY = ("source", "output", "shard", "shards", "corpus")
Arguments = Callable[[argparse.ArgumentParser], None]


@dataclass(frozen=True)
class Source:
    """One corpus in its native layout.

    about: that layout, for --help. read: (file, options) -> items as they come. files: the files of
    the corpus, from the place that the user gives; by default that place itself.
    """

    about: str
    layout: Layout
    read: Callable[[Path, argparse.Namespace], Items]
    files: Callable[[Path], Sequence[Path]] = lambda place: [place]
    add_arguments: Arguments | None = None


@dataclass(frozen=True)
class Kind:
    """A program for one kind of pretraining row, from any of several corpora.

    make_rows: (item with checked texts, options) -> rows; raises RejectedItem.
    """

    name: str
    about: str
    columns: tuple[str, ...]
    sources: Mapping[str, Source]
    make_rows: Callable[[Record, argparse.Namespace], Sequence[Sequence[str]]]
    add_arguments: Arguments | None = None

    def build_parser(self) -> argparse.ArgumentParser:
        """Options of the program, with a sub-program for each corpus."""
        parser = argparse.ArgumentParser(
            prog=f"data_utils.pretraining.{self.name}", description=self.about
        )
        chosen = parser.add_subparsers(dest="corpus", required=True, metavar="CORPUS")
        for name, source in self.sources.items():
            sub = chosen.add_parser(
                name,
                help=source.about.split("\n")[0],
                description=source.about,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            sub.add_argument("source", type=Path, help="the corpus, as it is distributed")
            sub.add_argument("--output", type=Path, required=True, help="folder to write to")
            sub.add_argument(
                "--valid-share",
                type=float,
                default=0.02,
                help="share of patients, studies or items for a validation file (default: 0.02); "
                "test splits of a source are left out",
            )
            add_shard_arguments(sub)
            for add_arguments in (source.add_arguments, self.add_arguments):
                if add_arguments is not None:
                    add_arguments(sub)
        return parser

    def run(self, args: argparse.Namespace) -> None:
        """Write one shard. Raises ValueError or FileNotFoundError on bad input."""
        if not args.source.exists():
            raise FileNotFoundError(f"no such file or folder: {args.source}")
        source = self.sources[args.corpus]
        options = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in vars(args).items()
            if name not in _NOT_IN_KEY
        }
        job = Job(
            tool=f"data_utils.pretraining.{self.name} {args.corpus}",
            options=options,
            root=args.source,
            files=source.files(args.source),
            layout=source.layout,
            columns=self.columns,
            read=lambda path: source.read(path, args),
            make_rows=lambda record: self.make_rows(record, args),
            valid_share=parse_share(args.valid_share),
        )
        write_shard(job, args.output, choose_shard(args.shard, args.shards, os.environ))

    def main(self) -> int:
        """Exit status of the program."""
        return run_program(self.run, self.build_parser())


def from_converter(converter: Converter) -> Source:
    """The corpus that a converter for fine-tuning reads."""
    return Source(
        converter.about or "",
        converter.layout,
        lambda _, args: converter.read(args),
        add_arguments=converter.add_arguments,
    )


def find_files(*patterns: str) -> Callable[[Path], list[Path]]:
    """The files below a folder that fit a pattern, by path; of a file, itself."""

    def find(place: Path) -> list[Path]:
        if place.is_file():
            return [place]
        found = sorted({path for pattern in patterns for path in place.rglob(pattern)})
        if not found:
            raise FileNotFoundError(f"{place}: expected files {' or '.join(patterns)}, found none")
        return found

    return find
