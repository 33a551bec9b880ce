"""The short form of the soak test; killed_training.py has the long one."""

from pathlib import Path

import pytest

pytest.importorskip("fairseq")

from tests.soak.killed_training import run_soak


@pytest.mark.slow
def test_run_that_is_killed_three_times_repeats_the_unbroken_run(tmp_path: Path) -> None:
    soak = run_soak(tmp_path / "soak", kills=3, updates=30, seed=2)
    assert soak.kills == 3
    # Each update at least once, with the losses of both groups of batches.
    assert soak.losses >= 3 * 30
    assert soak.checkpoints > 0
    assert soak.largest == 0
