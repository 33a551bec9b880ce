"""Training of small tokenizers."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from biomedgpt_fairseq.data.pixels import to_pixels
from biomedgpt_fairseq.image_tokenizer.network import VqNetwork
from biomedgpt_fairseq.image_tokenizer.tokenizer import ImageTokenizer
from biomedgpt_fairseq.image_tokenizer.training import (
    TrainingOptions,
    measure_quality,
    tokenizer_loss,
    train,
)


@pytest.fixture
def pool(make_picture):
    return torch.stack([to_pixels(make_picture(64, 64, seed)) for seed in range(6)])


def test_training_lowers_the_error_and_uses_several_codes(make_network, pool):
    # A code per 2 x 2 pixels: it learns in few steps.
    network: VqNetwork = make_network("plain", multipliers=(1, 2), attention_levels=())
    before = measure_quality(ImageTokenizer(network), pool)
    losses: list[float] = []
    options = TrainingOptions(crop=16, steps=40, batch_size=4, learning_rate=1e-2)
    train(network, pool, options, losses.append)
    after = measure_quality(ImageTokenizer(network), pool)
    assert len(losses) == 40
    assert after.error < before.error - 3
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert after.used_codes > before.used_codes
    assert not network.training


def test_same_seed_gives_the_same_weights(make_network, pool):
    networks = [make_network("plain") for _ in range(3)]
    for network, seed in zip(networks, (1, 1, 2), strict=True):
        train(network, pool, TrainingOptions(crop=16, steps=2, batch_size=3, seed=seed))
    first, second, other = (network.encoder.conv_in.weight for network in networks)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_loss_is_the_sum_of_its_three_parts(make_network):
    network = make_network("plain")
    pixels = torch.rand(2, 3, 16, 16) * 2 - 1
    latents = network.latents(pixels)
    codes = network.codes(latents)
    vectors = network.vectors(codes)
    expected = (network.pixels(vectors) - pixels).abs().mean() + 1.25 * (
        (vectors - latents) ** 2
    ).mean()
    loss = tokenizer_loss(network, pixels, latents, codes, 0.25)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_gradients_reach_the_parts_they_are_meant_for(make_network):
    network = make_network("plain")
    pixels = torch.rand(1, 3, 16, 16) * 2 - 1
    latents = network.latents(pixels).detach().requires_grad_()
    codes = network.codes(latents)
    tokenizer_loss(network, pixels, latents, codes, 0.0).backward()
    vectors = network.vectors(codes).detach().requires_grad_()
    F.l1_loss(network.pixels(vectors), pixels).backward()
    # Straight through: the vectors before the quantiser get what those behind it get.
    assert torch.allclose(latents.grad, vectors.grad, atol=1e-7)
    # The codebook learns from its own term alone: 2 (e - z) / n of each chosen row.
    expected = torch.zeros_like(network.quantize.codebook)
    differences = 2 * (network.vectors(codes) - latents).detach() / latents.numel()
    expected.index_add_(0, codes.flatten(), differences.movedim(1, -1).flatten(0, 2))
    assert torch.allclose(network.quantize.codebook.grad, expected, atol=1e-6)


def test_quality_beside_its_baselines(make_network):
    flat = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    flat[1] = 255
    quality = measure_quality(ImageTokenizer(make_network("plain")), flat)
    assert quality.constant_error == pytest.approx(127.5)
    assert quality.block_error == pytest.approx(0)
    assert 0 < quality.error < 255
    assert 1 <= quality.used_codes <= 8
    assert 1 <= quality.perplexity <= quality.used_codes + 1e-3
    assert math.isfinite(quality.error)
