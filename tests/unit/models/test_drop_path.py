import pytest
import torch

from biomedgpt_fairseq.models.drop_path import DropPath, spaced_rates


def test_whole_samples_are_dropped_and_the_others_scaled() -> None:
    torch.manual_seed(0)
    out = DropPath(0.25).train()(torch.ones(4000, 2, 3))
    assert (out == out[:, :1, :1]).all()
    assert out.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert out.mean().item() == pytest.approx(1, abs=0.05)


def test_evaluation_drops_nothing() -> None:
    x = torch.randn(3, 2)
    assert DropPath(0.9).eval()(x) is x


def test_rate_outside_the_unit_interval_raises() -> None:
    with pytest.raises(ValueError, match="found 1"):
        DropPath(1.0)


def test_rates_are_evenly_spaced_from_zero() -> None:
    assert spaced_rates(0.3, 4) == pytest.approx([0, 0.1, 0.2, 0.3])
    assert spaced_rates(0.3, 1) == [0.0]
