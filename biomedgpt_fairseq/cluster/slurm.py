"""Slurm jobs from lines: batch script, submission, state.  submitit does the work."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from biomedgpt_fairseq.cluster.job import Job
from biomedgpt_fairseq.cluster.line import Line

SIGNAL = "USR1"
# Preemptions and time limits after which a job is still queued again.
_MAX_REQUEUES = 1000
_JOB = re.compile(r"\d{1,18}(_\d{1,18})?")
_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")


@dataclass(frozen=True)
class Resources:
    """What a job asks Slurm for.

    gpus: per node.  minutes: time limit.  grace: seconds between the signal and the end.
    parallel: tasks of an array that run at a time.  more: other options of sbatch.
    """

    name: str = "biomedgpt"
    nodes: int = 1
    gpus: int = 1
    minutes: int = 60
    grace: int = 120
    parallel: int = 256
    more: Mapping[str, str] = field(default_factory=dict)

    def parameters(self) -> dict[str, Any]:
        """In the names of submitit."""
        found: dict[str, Any] = {
            "job_name": self.name,
            "nodes": self.nodes,
            "ntasks_per_node": 1,
            "time": self.minutes,
            "array_parallelism": self.parallel,
            "stderr_to_stdout": True,
            "setup": [f"export SUBMITIT_PREEMPT_SIGNAL={SIGNAL}"],  # its own default is USR2
            "additional_parameters": {
                "requeue": True,
                "signal": f"{SIGNAL}@{self.grace}",
                **self.more,
            },
        }
        if self.gpus:
            found["gpus_per_node"] = self.gpus
        return found


def parse_minutes(text: str) -> int:
    """Minutes of a time limit as Slurm writes it: MM, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS."""
    found = _TIME.fullmatch(text)
    if not found or (found[3] and not found[4] and not found[1]):
        raise ValueError(f"--time must be minutes, HH:MM:SS or D-HH:MM:SS, found {text!r}")
    days, first, second, third = (int(part or 0) for part in found.groups())
    if found[1] is None and found[3] is None:
        return first
    return days * 24 * 60 + first * 60 + second + (third > 0)


def batch_script(lines: Sequence[Line], resources: Resources, folder: Path) -> str:
    """The script that sbatch would be given, and the lines that it runs."""
    submitit = _import_submitit()
    # There is no public way to have it without a cluster.
    text: str = submitit.slurm.slurm._make_sbatch_string(
        command=f"python -u -m submitit.core._submit {shlex.quote(str(folder))}",
        folder=folder,
        map_count=len(lines) if len(lines) > 1 else None,
        **resources.parameters(),
    )
    shown = [f"#   {number}: {line}" for number, line in enumerate(lines)]
    return "\n".join([text, "# what it runs, by number of the array's task:", *shown])


def submit(lines: Sequence[Line], resources: Resources, folder: Path) -> list[str]:
    """Submit a job, or an array of one task a line; returns the ids.

    folder: for logs and records; all nodes must see it.  It stays as it is afterwards.
    Raises OSError if this machine has no Slurm, or it refuses the job.
    """
    if shutil.which("sbatch") is None:
        raise FileNotFoundError(
            "no sbatch on this machine: submit from a login node of a Slurm cluster, or run the "
            "line here with --local"
        )
    submitit = _import_submitit()
    folder.mkdir(parents=True, exist_ok=True)
    executor = submitit.SlurmExecutor(folder, max_num_timeout=_MAX_REQUEUES)
    executor.update_parameters(**resources.parameters())
    work = [Job(line, os.getcwd(), resources.gpus) for line in lines]
    try:
        with executor.batch():
            jobs = [executor.submit(one) for one in work]
    except submitit.core.utils.FailedJobError as error:
        raise OSError(f"Slurm refused the job: {str(error).strip()}") from error
    with (folder / "jobs.jsonl").open("a", encoding="utf-8") as file:
        for job, line in zip(jobs, lines, strict=True):
            file.write(json.dumps({"job": job.job_id, "line": str(line)}) + "\n")
    return [job.job_id for job in jobs]


def states(folder: Path) -> list[tuple[str, str, str]]:
    """(id, state, line) of the jobs of a folder: the queue's state, else the last event's."""
    records = folder / "jobs.jsonl"
    if not records.exists():
        raise FileNotFoundError(f"{records}: no jobs were submitted with --folder {folder}")
    queue = _queue()
    found = []
    for number, text in enumerate(records.read_bytes().splitlines(), start=1):
        try:
            record = json.loads(text)
            name, line = record["job"], record["line"]
            if not _JOB.fullmatch(name):  # it becomes part of a path
                raise ValueError(f"{name!r} is no number of a job")
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ValueError(f"{records}:{number}: not a submitted job: {error!r:.200}") from None
        found.append((name, queue.get(name) or _last_event(folder, name), str(line)))
    return found


def log_files(folder: Path, job: str) -> list[Path]:
    """Logs of a job, of all tasks if it is an array, in the order of their names."""
    found = sorted([*folder.glob(f"{job}_*_log.out"), *folder.glob(f"{job}_*_log.err")])
    if not found:
        raise FileNotFoundError(f"{folder}: job {job} has no logs; it may not have started yet")
    return found


def _queue() -> dict[str, str]:
    """State by job of this user's jobs in the queue, tasks of arrays each."""
    if shutil.which("squeue") is None:
        return {}
    command = ["squeue", "--me", "--array", "--noheader", "--format=%i %T"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"squeue: {done.stderr.strip()}")
    return {name: state.lower() for name, state in map(str.split, done.stdout.splitlines())}


def _last_event(folder: Path, job: str) -> str:
    path = folder / f"{job}.events"
    if not path.exists():
        return "not started"
    _, event, detail = path.read_text("utf-8").splitlines()[-1].split("\t")
    if event == "started":  # and no longer in the queue
        return "killed"
    return f"{event}: {detail}" if detail else event


def _import_submitit() -> Any:
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise ValueError(
            "submitting needs submitit: pip install 'biomedgpt_fairseq[cluster]'"
        ) from error
    return submitit
