"""`biomedgpt submit`: a run script or any other line as a job of a Slurm cluster."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
from pathlib import Path

from biomedgpt_fairseq.cluster import slurm
from biomedgpt_fairseq.cluster.line import parse_line, parse_variation, vary

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    parser.add_argument(
        "line",
        nargs=argparse.REMAINDER,
        metavar="-- LINE",
        help="[NAME=VALUE ...] PROGRAM [ARGUMENT ...], on every node; {NAME} is filled by --vary",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="only print the batch script")
    what.add_argument("--local", action="store_true", help="run here, one line after another")
    what.add_argument("--status", action="store_true", help="list the jobs of --folder")
    what.add_argument("--logs", metavar="JOB", help="print what a job has written")
    parser.add_argument(
        "--vary",
        metavar="NAME=a,b,c",
        action="append",
        default=[],
        help="an array: a task for each value (or NAME=FIRST..LAST); several: each combination",
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/jobs"), help="for logs")
    parser.add_argument("--name", default="biomedgpt", help="of the job (default: biomedgpt)")
    parser.add_argument("--nodes", type=int, default=1, help="(default: 1)")
    parser.add_argument("--gpus", type=int, default=1, help="per node (default: 1)")
    parser.add_argument("--cpus", help="CPU cores per node")
    parser.add_argument("--mem", help="memory per node, such as 64G")
    parser.add_argument("--time", default="60", help="limit: minutes or D-HH:MM:SS (default: 60)")
    parser.add_argument(
        "--grace",
        type=int,
        default=120,
        help="seconds before the limit at which training is told to save (default: 120)",
    )
    parser.add_argument("--partition")
    parser.add_argument("--account")
    parser.add_argument("--parallel", type=int, default=256, help="tasks of an array at a time")
    parser.add_argument(
        "--sbatch",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="another option of sbatch, such as qos=high",
    )


def run(args: argparse.Namespace) -> int:
    """Exit status; with --local that of the first line that fails."""
    if args.status:
        for job, state, text in slurm.states(args.folder):
            print(f"{job}\t{state}\t{text}")
        return 0
    if args.logs:
        for path in slurm.log_files(args.folder, args.logs):
            print(f"==> {path} <==")
            print(path.read_text("utf-8", errors="replace"))
        return 0
    words = args.line[1:] if args.line[:1] == ["--"] else args.line
    lines = vary(parse_line(words), [parse_variation(text) for text in args.vary])
    if args.local:
        return _run_here([(line.words, dict(line.settings)) for line in lines])
    resources, folder = _resources(args), args.folder.resolve()
    if args.dry_run:
        print(slurm.batch_script(lines, resources, folder))
        return 0
    for job, line in zip(slurm.submit(lines, resources, folder), lines, strict=True):
        print(f"{job}\t{line}")
    return 0


def _resources(args: argparse.Namespace) -> slurm.Resources:
    more = {
        name: value
        for name, value in (
            ("cpus-per-task", args.cpus),
            ("mem", args.mem),
            ("partition", args.partition),
            ("account", args.account),
        )
        if value
    }
    for text in args.sbatch:
        name, separator, value = text.lstrip("-").partition("=")
        if not separator:
            raise ValueError(f"--sbatch must be NAME=VALUE, found {text!r}")
        more[name] = value
    if args.nodes < 1 or args.gpus < 0 or args.grace < 1 or args.parallel < 1:
        raise ValueError("--nodes, --grace and --parallel must be positive, --gpus 0 or more")
    return slurm.Resources(
        name=args.name,
        nodes=args.nodes,
        gpus=args.gpus,
        minutes=slurm.parse_minutes(args.time),
        grace=args.grace,
        parallel=args.parallel,
        more=more,
    )


def _run_here(lines: list[tuple[tuple[str, ...], dict[str, str]]]) -> int:
    for words, settings in lines:
        status = subprocess.run(words, env={**os.environ, **settings}).returncode
        if status:
            logger.error("%s ended with status %d", " ".join(words), status)
            return status
    return 0
