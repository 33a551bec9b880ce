"""Two processes with half of the batch each train and validate as one process does."""

import json
import re

import pytest
from e2e_commands import (
    call,
    largest_difference,
    losses_by_update,
    program,
    read_checkpoint,
    train_command,
    train_here,
)

# Five validation rows, two a batch: in the second step one process has none.
RUN = """
    --max-update 5 --save-interval-updates 1 --log-format json --batch-size-valid 2
    --find-unused-parameters --init-weights bert
"""
HALVES = ["--distributed-world-size", "2", "--batch-size", "2"]
ROUGE = ["--eval-rouge", "--eval-args", '{"beam": 2, "max_len_b": 12}']
# Captions, whose checkpoints already say something: test_text_tasks.py.
EXTRA = {"gigaword": ROUGE, "image_classify": ["--freeze-resnet"]}
METRICS = {
    "gigaword": ("valid_loss", "valid_rougeL_f1", "valid_rouge1_recall", "valid_nll_loss"),
    "image_classify": ("valid_loss", "valid_score", "valid_auc", "valid_weighted_f1"),
}

pytestmark = pytest.mark.slow


def _command(corpus, task, save_dir, *options):
    return train_command(corpus, task, save_dir, *RUN.split(), *EXTRA[task], *options)


def _validation(text):
    """Metrics of the last validation, as logged."""
    lines = [line for line in text.split("\n") if "valid | {" in line]
    assert lines, text[-3000:]
    return json.loads(re.search(r"\{.*\}", lines[-1])[0])


def _assert_equals_one_process(corpus, task, save_dir, text):
    """Losses, weights and validation metrics are those of a run in one process."""
    folder = save_dir.with_name(f"{save_dir.name}-alone")
    wanted = _validation(train_here(_command(corpus, task, folder)))
    losses, wanted_losses = losses_by_update(save_dir), losses_by_update(folder)
    assert sorted(losses) == [1, 2, 3, 4, 5]
    for update, loss in losses.items():
        assert loss == pytest.approx(wanted_losses[update], rel=1e-5)
    ends = [read_checkpoint(path / "checkpoint_last.pt")["model"] for path in (save_dir, folder)]
    assert largest_difference(*ends) < 1e-4
    found = _validation(text)
    for name in METRICS[task]:
        assert float(found[name]) == pytest.approx(float(wanted[name]), abs=1e-3), name
        assert float(found[name]) > 0, name


def test_torchrun_equals_one_process(corpus, tmp_path):
    save_dir = tmp_path / "run"
    command = _command(corpus, "gigaword", save_dir, *HALVES)
    done = call(
        ["torchrun", "--standalone", "--nproc-per-node", "2", program(command[0]), *command[1:]]
    )
    _assert_equals_one_process(corpus, "gigaword", save_dir, done.text)


def test_spawned_processes_equal_one_process(corpus, tmp_path):
    save_dir = tmp_path / "run"
    done = call(_command(corpus, "image_classify", save_dir, *HALVES))
    _assert_equals_one_process(corpus, "image_classify", save_dir, done.text)
