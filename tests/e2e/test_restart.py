"""A run that was stopped goes on as if it had not been."""

import logging
import os
import shutil
import signal
import subprocess
import time

import pytest
from e2e_commands import (
    call,
    environment,
    largest_difference,
    losses_by_update,
    num_updates,
    program,
    read_checkpoint,
    train_command,
    train_here,
)

# Eight rows, two batches of one per update: four updates per epoch.
NOISY = """
    --batch-size 1 --update-freq 2 --num-workers 1 --max-update 10 --warmup-updates 4
    --store-ema --ema-decay 0.9 --dropout 0.1 --attention-dropout 0.1 --activation-dropout 0.1
    --encoder-drop-path-rate 0.1 --decoder-drop-path-rate 0.1 --resnet-drop-path-rate 0.1
    --augmentation released --label-smoothing 0.1 --save-interval-updates 1
"""


def _noisy(corpus, save_dir, *options):
    return train_command(corpus, "image_classify", save_dir, *NOISY.split(), *options)


@pytest.fixture(scope="module")
def unbroken(corpus, tmp_path_factory):
    """Folder of a run of ten updates, with a checkpoint of each."""
    save_dir = tmp_path_factory.mktemp("unbroken")
    train_here(_noisy(corpus, save_dir))
    return save_dir


def _assert_same_run(save_dir, unbroken, first):
    losses, wanted = losses_by_update(save_dir), losses_by_update(unbroken)
    assert sorted(losses) == list(range(first, 11))
    for update, loss in losses.items():
        assert loss == pytest.approx(wanted[update], rel=1e-6, abs=1e-6)
    ends = [read_checkpoint(folder / "checkpoint_last.pt") for folder in (save_dir, unbroken)]
    for part in ("model", "last_optimizer_state"):
        assert largest_difference(ends[0][part], ends[1][part]) < 1e-6
    assert ends[0]["optimizer_history"][-1] == ends[1]["optimizer_history"][-1]
    averages = [end["extra_state"]["ema"] for end in ends]
    assert largest_difference(*averages) < 1e-6


def test_unbroken_run_has_noise_and_averages(unbroken):
    losses = losses_by_update(unbroken)
    assert sorted(losses) == list(range(1, 11))
    assert len(set(losses.values())) == 10
    end = read_checkpoint(unbroken / "checkpoint_last.pt")
    assert largest_difference(end["model"], end["extra_state"]["ema"]) > 1e-4


@pytest.mark.slow
def test_restart_within_an_epoch_repeats_the_unbroken_run(corpus, unbroken, tmp_path):
    shutil.copy(unbroken / "checkpoint_2_5.pt", tmp_path / "checkpoint_last.pt")
    done = call(_noisy(corpus, tmp_path))
    assert "@ 5 updates" in done.text
    _assert_same_run(tmp_path, unbroken, first=6)


def test_restart_between_epochs_repeats_the_unbroken_run(corpus, unbroken, tmp_path):
    shutil.copy(unbroken / "checkpoint2.pt", tmp_path / "checkpoint_last.pt")
    train_here(_noisy(corpus, tmp_path))
    _assert_same_run(tmp_path, unbroken, first=9)


def test_restart_prefers_the_last_checkpoint_to_the_restore_file(corpus, unbroken, tmp_path):
    shutil.copy(unbroken / "checkpoint_2_5.pt", tmp_path / "checkpoint_last.pt")
    other = ["--restore-file", str(unbroken / "checkpoint_1_2.pt"), "--reset-optimizer"]
    resets = ["--reset-dataloader", "--reset-meters", "--reset-lr-scheduler"]
    train_here(_noisy(corpus, tmp_path, *other, *resets))
    _assert_same_run(tmp_path, unbroken, first=6)


def test_restore_file_starts_a_new_run_from_its_weights(corpus, unbroken, tmp_path):
    other = ["--restore-file", str(unbroken / "checkpoint_2_5.pt"), "--reset-optimizer"]
    resets = ["--reset-dataloader", "--reset-meters", "--reset-lr-scheduler"]
    # Without a learning rate the weights stay those of the file.
    train_here(_noisy(corpus, tmp_path, *other, *resets, "--max-update", "1", "--lr", "0"))
    state = read_checkpoint(tmp_path / "checkpoint_last.pt")
    wanted = read_checkpoint(unbroken / "checkpoint_2_5.pt")["model"]
    assert num_updates(state) == 1
    trained = {key: state["model"][key] for key in wanted if "embed_images" not in key}
    assert largest_difference(trained, {key: wanted[key] for key in trained}) == 0


def test_missing_restore_file_is_an_error(corpus, tmp_path):
    command = _noisy(corpus, tmp_path, "--restore-file", str(tmp_path / "absent.pt"))
    with pytest.raises(FileNotFoundError, match=r"--restore-file .*absent\.pt does not exist"):
        train_here(command)


class _SignalAtUpdate(logging.Handler):
    """Sends this process a signal when an update is logged."""

    def __init__(self, number, update):
        super().__init__()
        self.number, self.text = number, f"num_updates={update},"

    def emit(self, record):
        if record.name == "train_inner" and self.text in record.getMessage():
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ("number", "update"), [(signal.SIGUSR1, 5), (signal.SIGTERM, 3)], ids=["within", "at_the_end"]
)
def test_signal_ends_the_run_with_a_checkpoint_of_the_next_update(
    corpus, unbroken, tmp_path, number, update
):
    handler = _SignalAtUpdate(number, update)
    logging.getLogger().addHandler(handler)
    try:
        with pytest.raises(SystemExit) as stopped:
            train_here(_noisy(corpus, tmp_path))
    finally:
        logging.getLogger().removeHandler(handler)
    assert stopped.value.code == 75
    assert num_updates(read_checkpoint(tmp_path / "checkpoint_last.pt")) == update + 1
    train_here(_noisy(corpus, tmp_path))
    _assert_same_run(tmp_path, unbroken, first=1)


@pytest.mark.slow
def test_killed_run_resumes_with_the_same_command(corpus, tmp_path):
    command = train_command(
        corpus,
        "gigaword",
        tmp_path / "run",
        *("--num-workers", "1", "--save-interval-updates", "3", "--max-update", "90"),
        *("--keep-interval-updates", "1", "--no-epoch-checkpoints", "--disable-validation"),
    )
    last = tmp_path / "run" / "checkpoint_last.pt"
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [program(command[0]), *command[1:]], stdout=log, stderr=log, env=environment()
        )
        deadline = time.monotonic() + 120
        while not last.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        assert process.wait() == -signal.SIGKILL, (tmp_path / "log").read_text()[-3000:]
    done = num_updates(read_checkpoint(last))
    assert 2 <= done < 90
    train_here(command)
    assert num_updates(read_checkpoint(last)) == 90
