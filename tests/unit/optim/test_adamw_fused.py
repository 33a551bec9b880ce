"""The fused optimizer against fairseq's Adam."""

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq.optim.adam import Adam

from biomedgpt_fairseq.optim.adamw_fused import FusedAdamW, FusedAdamWOptions, parse_betas


def make_parameter():
    return torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))


def make_options(**changes):
    return FusedAdamWOptions(lr=[1e-2], weight_decay=0.1, **changes)


def test_steps_equal_those_of_fairseqs_adam():
    ours, theirs = make_parameter(), make_parameter()
    fused = FusedAdamW(make_options(), [ours])
    stock = Adam([theirs], lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
    for step in range(5):
        gradient = torch.tensor([0.3, -0.1, 2.0]) * (step + 1)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        fused.step()
        stock.step()
    torch.testing.assert_close(ours, theirs)


def test_state_is_restored():
    first, second = make_parameter(), make_parameter()
    optimizers = [FusedAdamW(make_options(), [parameter]) for parameter in (first, second)]
    first.grad = torch.ones(3)
    optimizers[0].step()
    second.data.copy_(first.data)
    optimizers[1].load_state_dict(optimizers[0].state_dict())
    for parameter, optimizer in zip((first, second), optimizers, strict=True):
        parameter.grad = torch.ones(3)
        optimizer.step()
    assert torch.equal(first, second)


@pytest.mark.parametrize("text", ["0.9", "(0.9,)", "import os", "('a', 'b')"])
def test_bad_betas_raise(text):
    with pytest.raises(ValueError, match="--adam-betas"):
        parse_betas(text)


def test_betas_of_the_command_line_are_read():
    assert parse_betas("(0.9,0.98)") == (0.9, 0.98)
    assert FusedAdamW(
        make_options(adam_betas="[0.8, 0.9]"), [make_parameter()]
    ).supports_flat_params


def test_a_cpu_has_the_kernel_too():
    assert FusedAdamW(make_options(), [make_parameter()])._optimizer.defaults["fused"]
