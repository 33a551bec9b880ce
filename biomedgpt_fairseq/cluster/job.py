"""What runs on every node of a job: the line, until it ends or the job is interrupted."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biomedgpt_fairseq.cluster.line import Line

INTERRUPTED = 75
"""Exit status of a program that saved its state and wants to be run again (EX_TEMPFAIL)."""
_FIRST_PORT, _PORTS = 20000, 20000


@dataclass
class Job:
    """One line of a submission, called by submitit on each node.

    folder: where it runs.  gpus: per node.
    A line that is interrupted (SIGUSR1 some time before the time limit, or at preemption) has until
    the end of that time to save what it has done; the job is queued again then.
    """

    line: Line
    folder: str
    gpus: int
    process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Exit status 0; raises RuntimeError if the line ends with another."""
        line = distributed(self.line, self.gpus, os.environ)
        note("started", str(line))
        # Scripts between here and training must not die of the signals; training listens to them.
        self.process = subprocess.Popen(
            line.words,
            env={**os.environ, **line.settings},
            cwd=self.folder,
            start_new_session=True,
            preexec_fn=_ignore_signals,
        )
        self._wait()
        status = self.process.wait()
        if status == INTERRUPTED:
            note("interrupted")
            raise SystemExit(INTERRUPTED)
        if status:
            note("failed", f"status {status}")
            raise RuntimeError(f"{shlex.join(line.words)} ended with status {status}")
        note("finished")
        return status

    def checkpoint(self) -> Any:
        """Called by submitit at SIGUSR1, before it queues the job again."""
        from submitit.helpers import DelayedSubmission

        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGUSR1)
            self._wait()
        note("interrupted")
        return DelayedSubmission(Job(self.line, self.folder, self.gpus))

    def _wait(self) -> None:
        """Until the process has ended, without taking its status: a signal handler waits too."""
        assert self.process is not None
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)


def _ignore_signals() -> None:
    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def distributed(line: Line, gpus: int, environment: Mapping[str, str]) -> Line:
    """The line as it is run by this node.

    Run scripts are told of GPUs, nodes and the address at which these meet; `fairseq-train` over
    several nodes is started by torchrun.
    """
    settings = {"GPUS": str(gpus), **line.settings}
    nodes = int(environment.get("SLURM_JOB_NUM_NODES", "1"))
    if nodes == 1:
        return Line(line.words, settings)
    number = int(environment["SLURM_JOB_ID"])
    master = f"{_first_host(environment)}:{_FIRST_PORT + number % _PORTS}"
    settings = {"NODES": str(nodes), "MASTER": master, **settings}
    words = line.words
    if Path(words[0]).name == "fairseq-train":
        program = shutil.which(words[0]) or words[0]
        launcher = f"torchrun --nnodes {nodes} --nproc-per-node {max(gpus, 1)} --rdzv-backend c10d"
        meeting = ["--rdzv-endpoint", master, "--rdzv-id", str(number)]
        words = (*launcher.split(), *meeting, program, *words[1:])
    return Line(words, settings)


def _first_host(environment: Mapping[str, str]) -> str:
    command = ["scontrol", "show", "hostnames", environment["SLURM_JOB_NODELIST"]]
    return subprocess.check_output(command, text=True).split()[0]


def note(event: str, detail: str = "") -> None:
    """Add a line to the job's events, which `biomedgpt submit --status` reads."""
    folder, name = os.environ.get("SUBMITIT_FOLDER"), os.environ.get("SLURM_JOB_ID", "")
    if folder is None or os.environ.get("SLURM_PROCID", "0") != "0":
        return
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        name = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    with (Path(folder) / f"{name}.events").open("a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\t{event}\t{detail}\n")
