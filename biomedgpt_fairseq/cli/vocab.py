"""`biomedgpt vocab`: download, train or describe a vocabulary."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.text.compact import train_compact_vocabulary
from biomedgpt_fairseq.text.download import BASE_URL, download_vocabulary
from biomedgpt_fairseq.text.folder import read_vocabulary_folder
from biomedgpt_fairseq.text.instructions import INSTRUCTIONS
from biomedgpt_fairseq.text.tokenizer import load_tokenizer

_LAYOUT_NAMES = {
    "fairseq": "released GPT-2 vocabulary, fairseq files",
    "huggingface": "released GPT-2 vocabulary, Hugging Face files",
    "compact": "compact vocabulary",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the actions train, download and info."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    train = actions.add_parser("train", help="train a compact vocabulary on texts of your own")
    train.add_argument("files", nargs="+", type=Path, metavar="FILE", help="text or TSV files")
    train.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder to write")
    train.add_argument("--size", type=int, default=4096, help="number of pieces (default: 4096)")
    train.add_argument(
        "--column",
        metavar="N[,N]",
        help="the files are TSV and these columns, counted from 0, hold the texts "
        "(default: each line of a file is a text)",
    )

    download = actions.add_parser("download", help="fetch the vocabulary of the released models")
    download.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder")
    download.add_argument(
        "--url", default=BASE_URL, help="address of a folder with dict.txt (default: %(default)s)"
    )

    info = actions.add_parser("info", help="describe and verify a vocabulary folder")
    info.add_argument("folder", type=Path, metavar="DIR", help="vocabulary folder")


def run(args: argparse.Namespace) -> int:
    """Runs the chosen action; returns the exit status."""
    actions: dict[str, Callable[[argparse.Namespace], None]] = {
        "train": _train,
        "download": _download,
        "info": _info,
    }
    actions[args.action](args)
    return 0


def _train(args: argparse.Namespace) -> None:
    missing = [str(path) for path in args.files if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"no such file: {', '.join(missing)}")
    tables = [str(path) for path in args.files if path.suffix == ".tsv"]
    if tables and args.column is None:
        raise ValueError(f"choose the text columns of {', '.join(tables)} with --column")
    train_compact_vocabulary(_texts(args.files, args.column), args.size, args.output)
    _describe(args.output)


def _download(args: argparse.Namespace) -> None:
    written = download_vocabulary(args.output, args.url)
    for path in written:
        print(f"{path}: verified")
    if not written:
        print(f"{args.output}: complete and verified, nothing to download")


def _info(args: argparse.Namespace) -> None:
    _describe(args.folder)


def _describe(folder: Path) -> None:
    files = read_vocabulary_folder(folder)
    tokenizer = load_tokenizer(folder)
    vocab = tokenizer.vocab
    filled = [row.fill(*[""] * row.num_fields) for row in INSTRUCTIONS.values()]
    lengths = [len(tokenizer.encode(text)) for text in filled]
    print(f"{folder}: {_LAYOUT_NAMES[files.layout]}, checksums verified")
    print(f"pieces        {len(files.encoder):,}")
    print(f"merges        {len(files.merges):,}")
    print(f"text ids      0 .. {vocab.mask} (<mask>)")
    print(
        f"all symbols   {len(vocab):,} with {vocab.num_codes:,} image codes "
        f"and {vocab.num_bins:,} bins"
    )
    print(f"instructions  {sum(lengths)} tokens in {len(lengths)} templates")


def _texts(files: list[Path], columns: str | None) -> Iterator[str]:
    for path in files:
        if columns is None:
            with path.open(encoding="utf-8") as file:
                lines = (line.rstrip("\r\n") for line in file)
                yield from (line for line in lines if line.strip())
        else:
            reader = TsvReader([str(path)], columns)
            # By column, because whole rows would carry their pictures along.
            for position in range(columns.count(",") + 1):
                for cell in reader.column(position):
                    yield from _cell_texts(cell)


def _cell_texts(cell: str) -> Iterator[str]:
    """Texts of a cell: `1.0|!+yes&&0.3|!+no` holds two answers, other cells one text."""
    for item in cell.split("&&"):
        text = item.rpartition("|!+")[2]
        if text.strip():
            yield text
