"""`biomedgpt phantoms`: write synthetic data sets for any of the tasks."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from biomedgpt_fairseq.data.tsv_writer import TsvWriter, write_json, write_text
from biomedgpt_fairseq.phantoms.negatives import make_negatives
from biomedgpt_fairseq.phantoms.question_wordings import WORDING_SETS
from biomedgpt_fairseq.phantoms.questions import all_answers
from biomedgpt_fairseq.phantoms.rows import (
    LABEL_SETS,
    LAYOUTS,
    Layout,
    RowOptions,
    make_corpus_line,
)
from biomedgpt_fairseq.phantoms.wording import CLAIMS

TASKS = ("classify", "vqa", "caption", "summary", "nli", "pretrain", "detection", "grounding")
# Splits are far apart in one endless sequence of cases, so that they can grow without meeting.
FIRST_ROW = {"train": 0, "valid": 1_000_000_000, "test": 2_000_000_000}
# Not the cases of the main file: an infilled or boxed image would then be seen captioned too.
FIRST_SIDE_ROW = {
    "text": 3_000_000_000,
    "infill": 3_250_000_000,
    "detection": 3_500_000_000,
    "valid_text": 3_750_000_000,
    "valid_infill": 3_800_000_000,
    "valid_detection": 3_850_000_000,
}
MAX_NEGATIVE_CAPTIONS = 20_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    parser.add_argument("--task", choices=TASKS, required=True, help="whose column layout to write")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--train", type=_count, default=1000, metavar="N", help="training rows")
    parser.add_argument("--valid", type=_count, default=200, metavar="N", help="validation rows")
    parser.add_argument("--test", type=_count, default=200, metavar="N", help="test rows")
    parser.add_argument("--size", type=int, default=64, help="side of the images in pixels")
    parser.add_argument("--seed", type=_count, default=1, help="another seed, other cases")
    parser.add_argument(
        "--labels", choices=list(LABEL_SETS), default="finding", help="classes of --task classify"
    )
    parser.add_argument(
        "--wordings",
        choices=WORDING_SETS,
        default="plain",
        help="how --task vqa asks; held-out wordings occur in no other set and in no training file",
    )
    parser.add_argument(
        "--claim", choices=CLAIMS, help="only second statements on this (nli; default: on all)"
    )
    parser.add_argument(
        "--num-codes", type=int, default=8192, help="size of the image code book (pretrain)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the files; returns the exit status."""
    if args.wordings == "held-out" and args.train:
        raise ValueError(
            "--wordings held-out is for evaluation of models that never saw them: add --train 0"
        )
    claims = (args.claim,) if args.claim else CLAIMS
    options = RowOptions(args.seed, args.size, args.labels, args.num_codes, args.wordings, claims)
    sizes = {"train": args.train, "valid": args.valid, "test": args.test}
    output: Path = args.output
    output.mkdir(parents=True, exist_ok=True)
    files: dict[str, int] = {}
    # The reader takes no empty files, so a split without rows has no file.
    for split, rows in ((split, rows) for split, rows in sizes.items() if rows):
        name = f"{split}.tsv"
        files[name] = _write(output / name, LAYOUTS[args.task], options, FIRST_ROW[split], rows)
    if args.task == "pretrain":
        for split, prefix in (("train", ""), ("valid", "valid_")):
            files.update(_write_side_files(output, options, prefix, sizes[split]))
        if args.train:
            files.update(_write_negatives(output / "negatives", options, args.train))
    answers = _answers(args.task, args.labels)
    if answers:
        write_json(output / "answers.json", answers)
    if args.train:
        files["corpus.txt"] = _write_corpus(output / "corpus.txt", options, args.train)
    write_json(output / "card.json", _card(args, files, answers))
    print(f"wrote {', '.join(f'{name} ({rows})' for name, rows in files.items())} to {output}")
    return 0


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, found {number}")
    return number


def _write(path: Path, layout: Layout, options: RowOptions, first_row: int, rows: int) -> int:
    fingerprint = f"phantoms {path.name} {layout.columns} {options} {first_row} {rows}"
    with TsvWriter(path, layout.columns, fingerprint) as writer:
        numbers = range(first_row + writer.taken, first_row + rows)
        for row in _progress(numbers, path.name, writer.taken, rows):
            writer.write(layout.make_row(options, row))
    return writer.rows


def _progress(numbers: Iterable[int], name: str, done: int, total: int) -> Iterator[int]:
    """Count on a terminal only: log files need no bar."""
    return iter(tqdm(numbers, desc=name, initial=done, total=total, unit="row", disable=None))


def _write_side_files(
    output: Path, options: RowOptions, prefix: str, main_rows: int
) -> dict[str, int]:
    """Of every eight main rows one also takes two texts, an image and a detection."""
    shares = {"text": -(-main_rows // 4), "infill": -(-main_rows // 8)}
    shares["detection"] = shares["infill"]
    names = {"text": "text.tsv", "infill": "image.tsv", "detection": "detection.tsv"}
    return {
        f"{prefix}{names[kind]}": _write(
            output / f"{prefix}{names[kind]}",
            LAYOUTS[kind],
            options,
            FIRST_SIDE_ROW[prefix + kind],
            rows,
        )
        for kind, rows in shares.items()
        if rows
    }


def _write_negatives(folder: Path, options: RowOptions, train: int) -> dict[str, int]:
    folder.mkdir(exist_ok=True)
    negatives = make_negatives(options.seed, FIRST_ROW["train"], min(train, MAX_NEGATIVE_CAPTIONS))
    write_json(folder / "type2ans.json", negatives.answers)
    write_text(folder / "object.txt", "".join(f"{name}\n" for name in negatives.objects))
    write_text(folder / "all_captions.txt", "".join(f"{line}\n" for line in negatives.captions))
    return {f"{folder.name}/all_captions.txt": len(negatives.captions)}


def _write_corpus(path: Path, options: RowOptions, rows: int) -> int:
    with TsvWriter(path, ("text",), f"corpus {options.seed} {rows}") as writer:
        for row in _progress(range(writer.taken, rows), path.name, writer.taken, rows):
            writer.write([make_corpus_line(options, row)])
    return writer.rows


def _answers(task: str, labels: str) -> dict[str, int]:
    """Closed answer set, in the order of the candidates; empty for tasks that write free text."""
    known: tuple[str, ...] = ()
    if task == "classify":
        known = next(names for key, names in LABEL_SETS.items() if key == labels)
    elif task == "vqa":
        known = tuple(all_answers())
    elif task == "nli":
        known = ("maybe", "yes", "no")
    return {answer: index for index, answer in enumerate(known)}


def _card(
    args: argparse.Namespace, files: dict[str, int], answers: dict[str, int]
) -> dict[str, object]:
    return {
        "generator": "biomedgpt phantoms",
        "task": args.task,
        "columns": LAYOUTS[args.task].columns,
        "seed": args.seed,
        "size": args.size,
        "labels": args.labels if args.task == "classify" else None,
        "claim": args.claim if args.task == "nli" else None,
        "wordings": args.wordings if args.task == "vqa" else None,
        "num_codes": args.num_codes if args.task == "pretrain" else None,
        "first_case_of_split": FIRST_ROW,
        "rows": files,
        "answers": len(answers),
        "note": "synthetic images; nothing here comes from a patient",
    }
