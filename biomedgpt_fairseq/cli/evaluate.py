"""`biomedgpt evaluate`: a checkpoint on a TSV file -> predictions, metrics, record, report."""

from __future__ import annotations

import argparse
import ast
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # fairseq takes seconds to import: not for --help.
    from biomedgpt_fairseq.fairseq_loading import LoadRequest
    from biomedgpt_fairseq.fairseq_placement import Placement
    from biomedgpt_fairseq.fairseq_robustness import GroupRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command; those of the original's evaluation keep their names."""
    parser.add_argument(
        "data", nargs="?", help="TSV file (default: the one stored in the checkpoint)"
    )
    add_checkpoint_arguments(parser)
    parser.add_argument("--results-path", required=True, metavar="DIR", help="folder for the files")
    parser.add_argument("--gen-subset", default="test", metavar="NAME", help="name of the split")
    parser.add_argument("--limit", type=int, metavar="N", help="evaluate only the first N rows")
    parser.add_argument("--num-workers", type=int, default=0, help="processes that read rows")
    parser.add_argument("--no-report", action="store_true", help="write no report.html")
    parser.add_argument("--log-file", metavar="FILE", help="training log for the report's curves")
    parser.add_argument(
        "--paraphrases", action="store_true", help="evaluate every wording of the instruction"
    )
    parser.add_argument(
        "--no-meteor",
        action="store_true",
        help="captions: spare the seconds that METEOR's java takes",
    )
    add_group_arguments(parser)


def add_group_arguments(parser: argparse.ArgumentParser) -> None:
    """Options about subgroups of the rows."""
    groups = parser.add_argument_group("subgroups")
    groups.add_argument(
        "--group-column", metavar="N[,N]", help="columns of the TSV, from 0, to group rows by"
    )
    groups.add_argument("--metadata", metavar="FILE", help=".csv, .tsv or .jsonl with row ids")
    groups.add_argument("--metadata-key", default="id", metavar="NAME", help="its column of ids")
    groups.add_argument("--group-by", metavar="NAME[,NAME]", help="its columns to group rows by")
    groups.add_argument(
        "--allow-unknown-groups",
        action="store_true",
        help="rows without an entry or value make a group 'unknown'",
    )
    groups.add_argument(
        "--min-group-rows", type=int, default=20, metavar="N", help="smaller groups: not compared"
    )


def add_checkpoint_arguments(parser: argparse.ArgumentParser) -> None:
    """Options about the model that evaluation and prediction share."""
    parser.add_argument(
        "--path", required=True, metavar="FILE[:FILE]", help="checkpoint; several: an ensemble"
    )
    parser.add_argument("--task", metavar="NAME", help="another task than the checkpoint's")
    parser.add_argument("--ema-eval", action="store_true", help="use the averaged weights")
    parser.add_argument(
        "--beam-search-vqa-eval",
        action="store_true",
        help="vqa_gen: search for the answer instead of scoring all candidates",
    )
    parser.add_argument(
        "--zero-shot", action="store_true", help="vqa_gen: free answers, without an answer list"
    )
    parser.add_argument(
        "--model-overrides", default="{}", metavar="JSON", help="options that replace saved ones"
    )
    parser.add_argument("--eval-args", metavar="JSON", help='generation options, as {"beam": 5}')
    parser.add_argument(
        "--allow-test-answers",
        action="store_true",
        help="use an answer set whose data card says that it holds test answers; is recorded",
    )
    parser.add_argument("--selected-cols", metavar="COLS", help="column indices of the TSV")
    parser.add_argument("--bpe-dir", metavar="DIR", help="folder with the vocabulary")
    parser.add_argument("--user-dir", metavar="DIR", help="folder with tasks of your own")
    parser.add_argument("--batch-size", type=int, default=16, metavar="N")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--cpu", action="store_true", help="use no GPU")
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="only algorithms that give the same bits each time on the same GPU (default: as the "
        "checkpoint was trained)",
    )
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument("--fp16", action="store_true", help="half precision (GPU only)")
    precision.add_argument("--bf16", action="store_true", help="bfloat16")


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the metrics table, return 0."""
    from biomedgpt_fairseq.fairseq_evaluate import EvaluationRequest, evaluate
    from biomedgpt_fairseq.report.provenance import command_line

    summary = evaluate(
        EvaluationRequest(
            load=load_request(args, data=args.data),
            results_path=Path(args.results_path),
            placement=placement(args),
            gen_subset=args.gen_subset,
            batch_size=args.batch_size,
            num_workers=args.num_workers,
            limit=args.limit,
            report=not args.no_report,
            log_file=args.log_file,
            command=command_line(sys.argv),
            groups=group_request(args),
            paraphrases=args.paraphrases,
            meteor=not args.no_meteor,
        )
    )
    for line in summary.lines():
        print(line)
    return 0


def parse_overrides(text: str) -> dict[str, Any]:
    """Options as JSON, or as the Python literal that commands for the original hold.

    Nothing is evaluated.  Raises ValueError for anything but a mapping with string keys.
    """
    try:
        options = json.loads(text)
    except (ValueError, RecursionError) as problem:
        try:
            options = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # nested deeply
            raise ValueError(f"--model-overrides is no JSON ({problem}): {text}") from None
    if not isinstance(options, dict) or not all(isinstance(key, str) for key in options):
        raise ValueError(f'--model-overrides: expected {{"option": value, ...}}, found {text}')
    return options


def load_request(args: argparse.Namespace, data: str | None) -> LoadRequest:
    """What the command line says about checkpoints and options."""
    from biomedgpt_fairseq.fairseq_extension import import_extension
    from biomedgpt_fairseq.fairseq_loading import LoadRequest
    from biomedgpt_fairseq.tasks.base import parse_generation_args

    import_extension(args.user_dir)
    overrides = parse_overrides(args.model_overrides)
    named = {
        "data": data,
        "eval_args": args.eval_args,
        "selected_cols": args.selected_cols,
        "bpe_dir": args.bpe_dir,
    }
    overrides |= {name: value for name, value in named.items() if value is not None}
    for name in ("allow_test_answers", "deterministic"):
        if getattr(args, name):
            overrides[name] = True
    parse_generation_args(args.eval_args)
    return LoadRequest(
        paths=args.path.split(":"),
        overrides=overrides,
        task_name=args.task,
        ema=args.ema_eval,
        search=args.beam_search_vqa_eval,
        zero_shot=args.zero_shot,
        seed=args.seed,
    )


def group_request(args: argparse.Namespace) -> GroupRequest:
    """What the command line says about subgroups."""
    from biomedgpt_fairseq.fairseq_robustness import GroupRequest

    columns = [part.strip() for part in (args.group_column or "").split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() for part in columns):
        raise ValueError(
            f"--group-column must be column indices from 0 as in 1,6, found {args.group_column!r}"
        )
    if (args.metadata is None) != (args.group_by is None):
        raise ValueError(
            "--metadata FILE and --group-by NAME belong together; columns of the TSV itself are "
            "named by --group-column"
        )
    names = [name.strip() for name in (args.group_by or "").split(",") if name.strip()]
    if args.group_by is not None and len(set(names)) < max(1, len(args.group_by.split(","))):
        raise ValueError(f"--group-by: expected different column names, found {args.group_by!r}")
    if args.min_group_rows < 1:
        raise ValueError(f"--min-group-rows must be at least 1, found {args.min_group_rows}")
    return GroupRequest(
        columns=tuple(int(part) for part in columns),
        metadata=None if args.metadata is None else Path(args.metadata),
        key=args.metadata_key,
        names=tuple(names),
        allow_unknown=args.allow_unknown_groups,
        min_rows=args.min_group_rows,
    )


def placement(args: argparse.Namespace) -> Placement:
    """Device and precision of the command line."""
    from biomedgpt_fairseq.fairseq_placement import choose_placement

    return choose_placement(cpu=args.cpu, fp16=args.fp16, bf16=args.bf16)
