"""Losses of logits that are made from features, against the same losses of given logits."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from biomedgpt_fairseq.losses import logits as logits_module
from biomedgpt_fairseq.losses import token_losses
from biomedgpt_fairseq.losses.label_smoothing import LossConfig, allowed_from_mask, smoothed_loss
from biomedgpt_fairseq.losses.logits import Unprojected, select_columns, select_rows, width
from biomedgpt_fairseq.losses.token_losses import AllowedIds, count_correct

ROWS, WIDTH, VOCABULARY = 6, 5, 11
COUNTED, TARGET = torch.tensor([0, 2, 3, 5]), torch.tensor([4, 7, 10, 0])


def make_parts() -> Unprojected:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(ROWS, WIDTH, generator=generator).requires_grad_()
    weight = torch.randn(VOCABULARY, WIDTH, generator=generator).requires_grad_()
    return Unprojected(features, weight)


def closed_set() -> AllowedIds:
    mask = torch.zeros(1, ROWS, VOCABULARY, dtype=torch.bool)
    mask[0, COUNTED, TARGET] = True
    mask[0, :, [1, 8]] = True
    return allowed_from_mask(mask, COUNTED)


CONFIGS = {
    "plain": LossConfig(),
    "smoothed": LossConfig(0.1),
    "drop worst": LossConfig(0.1, drop_worst_ratio=0.5),
    "R-Drop": LossConfig(0.1, rdrop_alpha=0.7),
    "encouraging": LossConfig(0.1, log_end=0.75),
}


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_loss_and_gradients_equal_those_of_given_logits(name, closed, monkeypatch):
    monkeypatch.setattr(token_losses, "CHUNK_ELEMENTS", 33)  # three rows at a time
    parts, allowed = make_parts(), closed_set() if closed else None
    confidence = torch.tensor([1.0, 0.6, 2.0, 1.0])
    logits = parts.features @ parts.weight.t()
    rest = (COUNTED, TARGET, CONFIGS[name], allowed, confidence)
    got, want = smoothed_loss(parts, *rest), smoothed_loss(logits, *rest)
    torch.testing.assert_close(got.loss, want.loss, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(got.nll, want.nll, rtol=1e-6, atol=1e-6)
    assert got.kept == want.kept
    gradients = [torch.autograd.grad(side.loss, list(parts)) for side in (got, want)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)


def test_window_takes_rows_of_the_output_matrix():
    parts, columns = make_parts(), torch.tensor([0, 1, 4, 7, 10])
    window = select_columns(parts, columns)
    assert width(window) == 5
    logits = select_columns(parts.features @ parts.weight.t(), columns)
    target = torch.tensor([2, 3, 4, 0])
    sides = [
        smoothed_loss(side, COUNTED, target, LossConfig(0.1)).loss for side in (window, logits)
    ]
    torch.testing.assert_close(*sides)


@pytest.mark.parametrize("closed", [False, True])
def test_accuracy_is_that_of_given_logits(closed):
    parts, allowed = make_parts(), closed_set() if closed else None
    logits = parts.features @ parts.weight.t()
    best = logits.argmax(1)[COUNTED]
    target = TARGET if closed else torch.where(torch.arange(4) < 2, best, TARGET)
    counts = [count_correct(side, COUNTED, target, allowed) for side in (parts, logits)]
    assert counts[0] == counts[1]
    assert closed or counts[0] >= 2


def test_no_logits_are_kept_for_backward():
    parts, sizes = make_parts(), []
    with saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        smoothed_loss(parts, COUNTED, TARGET, LossConfig(0.1)).loss.backward()
    assert max(sizes) == VOCABULARY * WIDTH


def test_only_possible_columns_are_projected():
    parts, sizes = make_parts(), []
    with saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        smoothed_loss(parts, COUNTED, TARGET, LossConfig(0.1), closed_set()).loss.backward()
    # Six of eleven ids are possible.
    assert max(sizes) == 6 * WIDTH


def test_frozen_output_matrix_gets_no_gradient():
    parts = make_parts()
    frozen = parts._replace(weight=parts.weight.detach())
    smoothed_loss(frozen, COUNTED, TARGET, LossConfig(0.1)).loss.backward()
    assert parts.features.grad is not None and frozen.weight.grad is None


def test_half_precision_keeps_its_type():
    parts = Unprojected(*(part.detach().bfloat16().requires_grad_() for part in make_parts()))
    sums = smoothed_loss(parts, COUNTED, TARGET, LossConfig(0.1))
    sums.loss.backward()
    assert sums.loss.dtype == torch.float32
    assert all(part.grad.dtype == torch.bfloat16 for part in parts)


@pytest.fixture
def products(monkeypatch) -> list[torch.Size]:
    """Shapes of the products that oneDNN makes."""
    shapes, onednn = [], logits_module._ONEDNN
    if onednn is None:
        pytest.skip("torch was built without oneDNN")

    def watched(features, *rest):
        shapes.append(features.shape)
        return onednn(features, *rest)

    monkeypatch.setattr(logits_module, "_ONEDNN", watched)
    return shapes


def test_fast_product_gives_the_same_loss_and_gradients(products, monkeypatch):
    generator = torch.Generator().manual_seed(4)
    features, weight = (torch.randn(n, 64, generator=generator) for n in (50, 3000))
    rows, target = torch.arange(0, 50, 2), torch.randint(3000, (25,), generator=generator)
    sides = []
    for onednn in (logits_module._ONEDNN, None):
        monkeypatch.setattr(logits_module, "_ONEDNN", onednn)
        parts = Unprojected(*(part.clone().requires_grad_() for part in (features, weight)))
        sums = smoothed_loss(parts, rows, target, LossConfig(0.1))
        sums.loss.backward()
        sides.append((sums.loss.detach(), sums.nll.detach(), *(part.grad for part in parts)))
    assert products == [(25, 64)] * 2  # forward, and backward again
    for got, want in zip(*sides, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", ["gradient", "float64", "autocast", "no rows"])
def test_fast_product_is_left_out_where_it_would_not_do(products, case):
    parts, rows = make_parts(), COUNTED[:0] if case == "no rows" else COUNTED
    if case != "gradient":
        parts = Unprojected(*(part.detach() for part in parts))
    if case == "float64":
        parts = Unprojected(*(part.double() for part in parts))
    with torch.autocast("cpu", torch.bfloat16, enabled=case == "autocast"):
        found = select_rows(parts, rows)
    assert products == []
    assert found.requires_grad == (case == "gradient")
    assert found.dtype == {"float64": torch.float64, "autocast": torch.bfloat16}.get(
        case, torch.float32
    )
