"""The short form of the soak test; killed_training.py has the long one."""

from pathlib import Path

import pytest

pytest.importorskip("fairseq")

from tests.soak.killed_training import run_soak


@pytest.mark.slow
def test_run_that_is_killed_twice_repeats_the_unbroken_run(tmp_path: Path) -> None:
    # With this seed the kills come soon behind updates 6 and 9: a checkpoint is resumed twice.
    soak = run_soak(tmp_path / "soak", kills=2, updates=14, seed=77)
    assert soak.kills == 2
    # Each update at least once, with the losses of both groups of batches.
    assert soak.losses >= 3 * 14
    assert soak.checkpoints > 0
    assert soak.largest == 0
