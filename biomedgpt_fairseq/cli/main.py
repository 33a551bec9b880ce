"""The `biomedgpt` command: finds the sub-command, runs it, and words the user's errors."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

logger = logging.getLogger(__name__)

# Name -> help.  Module biomedgpt_fairseq.cli.NAME has add_arguments(parser) and run(args) -> int;
# a hyphen of the name is an underscore there.
SUBCOMMANDS: dict[str, str] = {
    "doctor": "tell what is installed, what is missing, and what to do",
    "evaluate": "run a checkpoint on a TSV file: predictions, metrics, report",
    "predict": "answer a question about one image or text",
    "infill": "fill gaps of texts and pictures with a pretrained model",
    "checkpoint": "inspect, compare, convert, average or verify checkpoint files",
    "plan": "estimate memory and time that training will need",
    "vocab": "download, train or describe a vocabulary",
    "phantoms": "make synthetic images and tables to try everything with",
    "submit": "run a script or any other line as a job of a Slurm cluster",
    "image-codes": "turn pictures into image codes, preview them, train a small tokenizer",
}
USER_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sub-command; returns the exit status, 2 for an error of the user."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(
        format="%(asctime)s | %(levelname)s | %(name)s | %(message)s", level=logging.INFO
    )
    chosen = arguments[0] if arguments and arguments[0] in SUBCOMMANDS else None
    args = build_parser(chosen).parse_args(arguments)
    if chosen is None:
        # No sub-command at all: for an unknown one argparse has ended the process.
        build_parser(None).print_help(sys.stderr)
        return USER_ERROR
    try:
        return int(_module(chosen).run(args))
    except (ValueError, OSError) as error:
        print(f"biomedgpt: error: {error}", file=sys.stderr)
        logger.debug("where it was raised", exc_info=True)
        return USER_ERROR


def build_parser(chosen: str | None) -> argparse.ArgumentParser:
    """All sub-commands by name; only the chosen one is imported and has its options."""
    parser = argparse.ArgumentParser(
        prog="biomedgpt", description="BiomedGPT, a biomedical vision-language model."
    )
    parser.add_argument("--version", action="version", version=f"biomedgpt {_version()}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, help_text in SUBCOMMANDS.items():
        command = commands.add_parser(name, help=help_text, description=_sentence(help_text))
        if name == chosen:
            _module(name).add_arguments(command)
    return parser


def _module(name: str) -> Any:
    return importlib.import_module(f"biomedgpt_fairseq.cli.{name.replace('-', '_')}")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _version() -> str:
    try:
        return version("biomedgpt_fairseq")
    except PackageNotFoundError:  # run from a clone that is not installed
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
