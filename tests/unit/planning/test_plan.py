"""Counts of a step without numbers, against real tensors; and what a plan makes of them."""

import json
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from biomedgpt_fairseq.cli.main import main
from biomedgpt_fairseq.config import SIZES
from biomedgpt_fairseq.models.transformer import build_transformer
from biomedgpt_fairseq.planning.plan import DEVICES, USABLE, Run, make_plan
from biomedgpt_fairseq.planning.step import Group, group_loss, pretraining_groups
from biomedgpt_fairseq.planning.trace import StepCounter, build_on_meta, count_groups

CONFIG = replace(SIZES["micro"], vocab_size=300, dropout=0.1)
PAIRS = Group(examples=3, image=64, source=9, target=5)
CPU = torch.device("cpu")


def test_counts_equal_those_of_real_tensors():
    network = build_transformer(CONFIG).train()
    with StepCounter(network, repeat_layers=False) as counter:
        group_loss(network, PAIRS, CONFIG.vocab_size, CPU, torch.float32)
    real = counter.counts()
    counted = count_groups(CONFIG, [PAIRS], torch.float32)[0].of(PAIRS.examples)
    assert counted.operations == pytest.approx(real.operations, rel=0.02)
    assert (counted.layers, counted.inputs) == (real.layers, real.inputs)
    assert counted.rest == pytest.approx(real.rest, rel=0.05)


def test_operations_are_about_those_of_both_passes():
    network = build_transformer(CONFIG).train()
    with FlopCounterMode(display=False) as flops:
        loss = group_loss(network, PAIRS, CONFIG.vocab_size, CPU, torch.float32)
        torch.autograd.backward(loss)
    counted = count_groups(CONFIG, [PAIRS], torch.float32)[0].of(PAIRS.examples)
    assert counted.operations == pytest.approx(flops.get_total_flops(), rel=0.15)


def test_parameters_are_those_of_the_network():
    real = sum(parameter.numel() for parameter in build_transformer(CONFIG).parameters())
    plan = make_plan(Run(CONFIG, [PAIRS], rows=3))
    assert plan.parameters == real
    assert plan.memory.weights == 4 * real
    assert next(build_on_meta(CONFIG, torch.bfloat16).parameters()).is_meta


def test_checkpointing_trades_operations_for_memory():
    kept = make_plan(Run(CONFIG, [PAIRS], rows=3))
    again = make_plan(Run(replace(CONFIG, checkpoint_activations=True), [PAIRS], rows=3))
    assert again.memory.activations < kept.memory.activations
    assert kept.operations < again.operations < 4 / 3 * kept.operations


def test_optimizer_is_shared_out_among_gpus():
    alone = make_plan(Run(CONFIG, [PAIRS], rows=3, gpus=4))
    shared = make_plan(Run(CONFIG, [PAIRS], rows=3, gpus=4, shard_optimizer=True))
    assert shared.memory.optimizer == alone.memory.optimizer // 4


def test_largest_batch_fits_and_one_more_does_not():
    memory = 2**33

    def total(rows):
        return make_plan(Run(CONFIG, [PAIRS.of(rows)], rows)).memory.total

    largest = make_plan(Run(CONFIG, [PAIRS], rows=3)).largest_batch(memory)
    assert total(largest) <= USABLE * memory < total(largest + 1)


def test_rows_of_pretraining_bring_others_along():
    pairs, others = pretraining_groups(16, PAIRS)
    assert (pairs.examples, others.examples) == (32, 8)
    assert others.codes and not pairs.codes


def plan(*options: str) -> int:
    small = ["--size", "micro", "--vocab-size", "300", "--image", "64", "--batch-size", "2"]
    return main(["plan", *small, *options])


def test_command_prints_days(capsys):
    assert plan("--rows", "1000", "--epochs", "3", "--gpus", "2", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["updates"] == 3 * 250
    assert figures["days"] == pytest.approx(750 * figures["seconds_per_update"] / 86400)
    assert figures["device_gib"] == DEVICES["a100-80"].memory / 2**30


def test_command_ends_with_1_where_memory_is_short(capsys, monkeypatch):
    tight = DEVICES["t4"]._replace(memory=2**25)
    monkeypatch.setitem(DEVICES, "t4", tight)
    assert plan("--device", "t4") == 1
    assert "Not even one row fits" in capsys.readouterr().out


def test_command_compares_with_steps_run_here(capsys):
    assert plan("--measure", "1", "--precision", "fp32", "--task", "finetune", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["measured_seconds_per_update"] > 0
    assert figures["measured_share"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--image", "65"], "multiple of 16"),
        (["--gpus", "0"], "at least 1"),
        (["--share", "2"], "at most 1"),
    ],
)
def test_command_refuses_bad_numbers(options, message, capsys):
    with pytest.raises(SystemExit):
        plan(*options)
    assert message in capsys.readouterr().err
