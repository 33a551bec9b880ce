"""--deterministic of training and evaluation."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

from biomedgpt_fairseq import fairseq_register as fairseq_register
from biomedgpt_fairseq.cli.evaluate import add_checkpoint_arguments, load_request
from biomedgpt_fairseq.fairseq_determinism import WORKSPACE
from biomedgpt_fairseq.fairseq_saved_options import task_options
from biomedgpt_fairseq.text.compact import train_compact_vocabulary


@pytest.fixture(scope="module")
def bpe_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    train_compact_vocabulary(["is there a mass?", "no", "yes"], 300, folder)
    return folder


@pytest.fixture(autouse=True)
def switches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As they are in a new process, before and after."""
    monkeypatch.setenv(WORKSPACE, "")
    monkeypatch.delenv(WORKSPACE)
    torch.backends.cudnn.benchmark = True
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = torch.backends.cudnn.benchmark = False


def found() -> tuple[Any, ...]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        os.environ.get(WORKSPACE),
    )


def set_up_training(bpe_dir: Path, *words: str) -> None:
    """What fairseq-train does with its command line before it builds a model."""
    command = ["rows.tsv", "--task", "gigaword", "--bpe-dir", str(bpe_dir), "--arch", "ofa_micro"]
    command += ["--criterion", "adjust_label_smoothed_cross_entropy", "--code-dict-size", "4"]
    parsed = options.parse_args_and_arch(options.get_training_parser(), [*command, *words])
    tasks.setup_task(convert_namespace_to_omegaconf(parsed).task)


def test_training_leaves_the_switches_alone_unless_asked(bpe_dir):
    before = found()
    set_up_training(bpe_dir)
    assert found() == before == (False, False, False, True, None)


def test_training_asked_to_switches_everything_before_there_is_a_model(bpe_dir):
    set_up_training(bpe_dir, "--deterministic")
    assert found() == (True, False, True, False, ":4096:8")
    # An operation without a deterministic algorithm is named, not run.
    with pytest.raises(RuntimeError, match="put_ does not have a deterministic implementation"):
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2))


def test_workspace_of_the_user_is_kept(bpe_dir, monkeypatch):
    monkeypatch.setenv(WORKSPACE, ":16:8")
    set_up_training(bpe_dir, "--deterministic")
    assert os.environ[WORKSPACE] == ":16:8"


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("asked", [False, True])
def test_evaluation_is_deterministic_if_it_or_its_training_was_to_be(saved, asked, bpe_dir):
    parser = argparse.ArgumentParser()
    add_checkpoint_arguments(parser)
    words = ["--path", "a.pt", "--bpe-dir", str(bpe_dir), *["--deterministic"][:asked]]
    overrides = load_request(parser.parse_args(words), None).overrides
    assert ("deterministic" in overrides) == asked
    cfg = task_options("gigaword", {"deterministic": saved, "code_dict_size": 4}, overrides)
    tasks.TASK_REGISTRY["gigaword"].setup_task(cfg)
    assert torch.are_deterministic_algorithms_enabled() == (saved or asked)
