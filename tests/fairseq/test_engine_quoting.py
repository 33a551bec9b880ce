"""Awkward option strings through fairseq's own conversion, a checkpoint, and back."""

import json
from argparse import Namespace
from dataclasses import dataclass, field
from typing import List  # noqa: UP035

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq import checkpoint_utils, options
from fairseq.dataclass import FairseqDataclass
from fairseq.dataclass.utils import convert_namespace_to_omegaconf, overwrite_args_by_name
from fairseq.tasks import TASK_REGISTRY, FairseqTask, register_task
from omegaconf import II, OmegaConf


@dataclass
class NoteOptions(FairseqDataclass):
    ans2label_dict: str = field(default="{}", metadata={"help": "JSON"})
    note: str = field(default="", metadata={"help": "text"})
    names: List[str] = field(default_factory=list, metadata={"help": "list"})  # noqa: UP006
    rates: List[float] = II("optimization.lr")  # noqa: UP006


if "engine_note" not in TASK_REGISTRY:

    @register_task("engine_note", dataclass=NoteOptions)
    class NoteTask(FairseqTask):
        pass


TEXTS = [
    "plain",
    "it's",
    "a\\'b",
    "\\",
    "\\\\'",
    "${note}",
    "${oc.env:HOME}",
    "pay ${amount} and \\${more}",
    "$5 {x} $${y}",
    'say "hi": [1, 2], {a=b}',
    "tab\tnew\nline",
    "  spaces  ",
    "émile – 日本 #1 % 20%41",
    "null",
    "true",
    "3",
]

HISTORY = {"num_updates": 0, "optimizer_name": "a", "lr_scheduler_state": {}, "criterion_name": "c"}


def config_of(**values: object):
    parser = options.get_training_parser(default_task="engine_note")
    command = ["--task", "engine_note", "--arch", "lstm", "--lr", "0.5"]
    for name, value in values.items():
        command += [f"--{name.replace('_', '-')}={value}"]
    return convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, command))


@pytest.mark.parametrize("text", TEXTS)
def test_text_arrives_unchanged(text):
    assert config_of(note=text).task.note == text


def test_answer_list_arrives_unchanged():
    answers = {text: i for i, text in enumerate(TEXTS)}
    config = config_of(ans2label_dict=json.dumps(answers))
    assert json.loads(config.task.ans2label_dict) == answers


def test_lists_of_texts_arrive_unchanged():
    assert list(config_of(names=repr(TEXTS)).task.names) == TEXTS


def test_references_of_fairseq_still_work():
    assert config_of().task.rates == [0.5]


@pytest.mark.parametrize("text", TEXTS)
def test_text_survives_a_checkpoint(tmp_path, text):
    config = config_of(note=text)
    stored = OmegaConf.to_container(config, resolve=True, enum_to_str=True)  # as the trainer does
    path = str(tmp_path / "c.pt")
    torch.save(
        {
            "cfg": stored,
            "args": None,
            "optimizer_history": [HISTORY],
            "extra_state": {"train_iterator": {}},
        },
        path,
    )
    state = checkpoint_utils.load_checkpoint_to_cpu(path, arg_overrides={"names": [text]})
    assert state["cfg"].task.note == text
    assert list(state["cfg"].task.names) == [text]


def test_text_reaches_the_task():
    config = config_of(note="${a} it's")
    from fairseq import tasks

    task = tasks.setup_task(config.task)
    assert task.cfg.note == "${a} it's"


def test_nested_overrides_are_literal():
    config = config_of()
    overwrite_args_by_name(config, {"task": {"note": "${a}"}})
    assert config.task.note == "${a}"


def test_old_namespace_is_converted():
    args = Namespace(
        task="engine_note",
        data="d",
        note="it's ${x}",
        arch="lstm",
        lr=[1.0],
    )
    assert convert_namespace_to_omegaconf(args).task.note == "it's ${x}"
