"""`biomedgpt submit` on a real Slurm: preemption and resuming, arrays, shards that are killed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_commands import (
    PLUGIN,
    ROOT,
    Corpus,
    largest_difference,
    program,
    read_checkpoint,
    train_here,
)
from e2e_commands import train_command as literal_command

from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.text.compact import train_compact_vocabulary

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

START = Path(__file__).with_name("start_slurm.sh")
UPDATES = 60
Submit = Callable[..., list[str]]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Number of nodes of the Slurm that this machine runs for the tests."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [
        name
        for name in ("slurmctld", "slurmd", "sbatch", "munged")
        if not shutil.which(name, path=path)
    ]
    if missing:
        pytest.skip(f"no {missing[0]}: apt-get install slurm-wlm munge")
    if os.geteuid() != 0:
        pytest.skip("slurmd starts jobs as root only")
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run(
        ["bash", START, "start", folder], capture_output=True, text=True, timeout=60
    )
    try:
        if started.returncode:
            pytest.skip(f"Slurm does not start on this machine: {started.stderr[-1000:]}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            patch.setenv("OMP_NUM_THREADS", "1")
            patch.setenv("PYTHONPATH", str(ROOT))
            patch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
            yield int(started.stdout)
    finally:
        subprocess.run(["bash", START, "stop", folder], timeout=60)


@pytest.fixture
def submit(nodes: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Submit:
    """Submits a line with options of `biomedgpt submit`; returns the ids of its tasks."""

    def run(*words: str) -> list[str]:
        options = ["--folder", str(tmp_path / "jobs"), "--time", "10"]
        assert biomedgpt(["submit", *options, *words]) == 0
        return [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]

    return run


@pytest.fixture
def states(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, str]]:
    """What `biomedgpt submit --status` says of each task."""

    def ask() -> dict[str, str]:
        assert biomedgpt(["submit", "--status", "--folder", str(tmp_path / "jobs")]) == 0
        rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        return {row[0]: row[1] for row in rows}

    return ask


def wait(until: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            pytest.fail("it did not happen in time")
        time.sleep(0.2)


def log_of(tmp_path: Path, job: str) -> str:
    path = tmp_path / "jobs" / f"{job}_0_log.out"
    return path.read_text("utf-8") if path.exists() else ""


def losses(text: str) -> dict[int, str]:
    """Logged loss of each update."""
    found = re.findall(r"train_inner \| .* loss=([\d.]+),.* num_updates=(\d+),", text)
    return {int(update): loss for loss, update in found}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    rows = ["--train", "24", "--valid", "2", "--test", "0"]
    output = ["--output", str(folder / "gigaword")]
    assert biomedgpt(["phantoms", "--task", "summary", *output, *rows]) == 0
    texts = (folder / "gigaword" / "corpus.txt").read_text("utf-8").split("\n")
    train_compact_vocabulary(texts, 600, folder / "vocabulary")
    return Corpus(folder)


def train_command(corpus: Corpus, runs: Path) -> list[str]:
    """Training with a seed; it saves nothing before its end if nobody asks it to."""
    command = literal_command(corpus, "gigaword", runs / "{SEED}")
    words = "--seed {SEED} --batch-size 2 --num-workers 1 --dropout 0.1 --disable-validation"
    words += (
        f" --max-update {UPDATES} --no-epoch-checkpoints --save-interval 99 --user-dir {PLUGIN}"
    )
    return [program(command[0]), *command[1:], *words.split()]


def test_preempted_seeds_end_as_those_that_nobody_stopped(
    submit: Submit, states: Callable[[], dict[str, str]], corpus: Corpus, tmp_path: Path
) -> None:
    seeds = ["--gpus", "0", "--vary", "SEED=1..3"]
    jobs = submit(*seeds, "--", *train_command(corpus, tmp_path / "runs"))
    assert len(jobs) == 3

    def reached(job: str) -> bool:
        assert "finished" not in states()[job], "it was too fast to be stopped"
        return bool(losses(log_of(tmp_path, job)))

    wait(lambda: reached(jobs[0]))
    subprocess.run(["scancel", "--signal=USR1", jobs[0]], check=True)
    wait(lambda: reached(jobs[1]))
    subprocess.run(["scontrol", "requeue", jobs[1]], check=True)
    wait(lambda: set(states().values()) == {"finished"})
    for job in jobs[:2]:
        text = log_of(tmp_path, job)
        assert re.search(r"stopped on request at update \d+, status 75", text)
        assert re.search(r"Loaded checkpoint .*checkpoint_last\.pt", text)
    assert "stopped on request" not in log_of(tmp_path, jobs[2])

    for seed, job in zip("12", jobs, strict=False):
        whole = train_command(corpus, tmp_path / "whole")
        train_here([word.replace("{SEED}", seed) for word in whole])
        ends = [
            read_checkpoint(tmp_path / runs / seed / "checkpoint_last.pt")
            for runs in ("runs", "whole")
        ]
        for part in ("model", "last_optimizer_state"):
            assert largest_difference(ends[0][part], ends[1][part]) == 0
        assert sorted(losses(log_of(tmp_path, job))) == list(range(1, UPDATES + 1))


def test_killed_shard_of_data_preparation_is_run_again(
    submit: Submit, states: Callable[[], dict[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "texts").mkdir()
    for number in range(9):
        text = f"Document {number} has a finding of the lungs.\n\nIt is stable.\n"
        (tmp_path / "texts" / f"{number}.txt").write_text(text, "utf-8")
    convert = f"{sys.executable} -m data_utils.pretraining.texts documents {tmp_path / 'texts'}"
    shards = [*convert.split(), "--valid-share", "0", "--shards", "3", "--shard", "{SHARD}"]
    # The first attempt of one is killed, as by a lack of memory.
    killer = (
        'if [ {SHARD} = 1 ] && [ -z "${SLURM_RESTART_COUNT:-}" ]; then timeout -s KILL 0.3 "$@"'
    )
    killer += '; else "$@"; fi'
    output = ["--output", str(tmp_path / "out")]
    line = ["bash", "-c", killer, "bash", *shards, *output]
    jobs = submit("--gpus", "0", "--vary", "SHARD=0..2", "--", *line)
    wait(lambda: set(states().values()) == {"finished", "failed: status 137"})
    assert states()[jobs[1]] == "failed: status 137"
    assert len(list((tmp_path / "out").glob("*.tsv"))) == 2
    subprocess.run(["scontrol", "requeue", jobs[1]], check=True)
    wait(lambda: set(states().values()) == {"finished"})
    here = [*shards, "--output", str(tmp_path / "here")]
    assert biomedgpt(["submit", "--local", "--vary", "SHARD=0..2", "--", *here]) == 0
    wanted = {path.name: path.read_bytes() for path in (tmp_path / "here").glob("*.tsv")}
    assert len(wanted) == 3
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.tsv")} == wanted


def test_nodes_are_told_where_to_meet(
    submit: Submit, states: Callable[[], dict[str, str]], nodes: int, tmp_path: Path
) -> None:
    if nodes < 2:
        pytest.skip("this Slurm was built for one slurmd a machine")
    words = ["bash", "-c", "echo node $SLURM_NODEID of $NODES at $MASTER with $GPUS"]
    (job,) = submit("--gpus", "0", "--nodes", "2", "--", *words)
    wait(lambda: set(states().values()) == {"finished"})
    texts = [(tmp_path / "jobs" / f"{job}_{task}_log.out").read_text("utf-8") for task in (0, 1)]
    found = [re.findall(r"node (\d) of 2 at (\S+:2\d+) with 0", text)[0] for text in texts]
    assert [node for node, _ in found] == ["0", "1"]
    assert found[0][1] == found[1][1]


def test_failing_line_is_not_queued_again(
    submit: Submit, states: Callable[[], dict[str, str]], tmp_path: Path
) -> None:
    (job,) = submit("--gpus", "0", "--", "bash", "-c", "echo some words; exit 3")
    wait(lambda: states() == {job: "failed: status 3"})
    assert "some words" in log_of(tmp_path, job)
