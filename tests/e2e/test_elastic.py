"""A run goes on with another number of processes, in the middle of an epoch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from e2e_commands import Corpus, num_updates, read_checkpoint, run_workers, train_command

from biomedgpt_fairseq import fairseq_register  # noqa: F401
from biomedgpt_fairseq.cli.main import main as biomedgpt

pytestmark = pytest.mark.slow

ROWS = 44
TASK = '''"""Writes down the rows that each process trains on; one of them may be told to stop."""

import os
import signal
from pathlib import Path

from fairseq.tasks import register_task

from biomedgpt_fairseq.tasks.gigaword import SummaryTask
from biomedgpt_fairseq.tasks.options import SummaryOptions


@register_task("counted", dataclass=SummaryOptions)
class CountedTask(SummaryTask):
    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False, **_):
        rank = os.environ.get("RANK", "0")
        if not ignore_grad:
            with Path(os.environ["COUNTED"], rank).open("a") as file:
                file.writelines(f"{row}\\n" for row in sample["id"])
        if f"{rank}:{update_num}" == os.environ.get("STOP_AT"):
            os.kill(os.getpid(), signal.SIGUSR1)
        return super().train_step(
            sample, model, criterion, optimizer, update_num, ignore_grad=ignore_grad
        )
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("elastic")
    rows = ["--train", str(ROWS), "--valid", "2", "--test", "0"]
    assert biomedgpt(["phantoms", "--task", "summary", "--output", str(path / "rows"), *rows]) == 0
    (path / "counted").mkdir()
    (path / "counted" / "__init__.py").write_text(TASK, "utf-8")
    return path


def test_each_row_is_seen_once_by_one_two_four_and_one_processes(
    corpus: Corpus, folder: Path
) -> None:
    """The second leg ends because one of its two processes is told to stop."""
    command = train_command(corpus, "gigaword", folder / "run", data=folder / "rows")
    command[command.index("gigaword")] = "counted"
    command[command.index("--user-dir") + 1] = str(folder / "counted")
    command += ["--batch-size", "1", "--lr-scheduler", "fixed", "--disable-validation"]
    command += ["--no-epoch-checkpoints", "--find-unused-parameters"]
    seen: Counter[str] = Counter()
    legs = [(1, "5", ""), (2, "99", "1:9"), (4, "15", ""), (1, "24", "")]
    shares = [5, 10, 20, 9]
    for number, ((processes, last, stop_at), share) in enumerate(zip(legs, shares, strict=True)):
        counted = folder / f"leg{number}"
        counted.mkdir()
        leg = [*command, "--max-update", last, "--distributed-world-size", str(processes)]
        codes = run_workers(leg, processes, COUNTED=str(counted), STOP_AT=stop_at)
        assert codes == [75 if stop_at else 0] * processes
        assert len(list(counted.iterdir())) == processes
        rows = [row for file in counted.iterdir() for row in file.read_text("utf-8").split()]
        assert len(rows) == share
        seen.update(rows)
    assert len(seen) == ROWS and set(seen.values()) == {1}
    state = read_checkpoint(folder / "run" / "checkpoint_last.pt")
    assert num_updates(state) == 24
    assert state["extra_state"]["train_iterator"]["epoch"] == 2
