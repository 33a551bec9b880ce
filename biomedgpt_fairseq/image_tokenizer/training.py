"""Training of small tokenizers: L1 error of the pixels and the two terms of a plain codebook."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from biomedgpt_fairseq.image_tokenizer.network import VqNetwork
from biomedgpt_fairseq.image_tokenizer.pictures import bytes_to_pixels
from biomedgpt_fairseq.image_tokenizer.tokenizer import ImageTokenizer

_WARM_UP = 50
_RESTART_EVERY = 50
_RESTART_UNTIL = 0.75


@dataclass(frozen=True)
class TrainingOptions:
    """How long and how fast."""

    crop: int = 64
    """Side in pixels of the squares it is trained on, a multiple of the factor."""
    steps: int = 2400
    batch_size: int = 8
    learning_rate: float = 3e-3
    commitment: float = 0.25
    """Weight of pulling vectors to their codes, beta of arXiv:1711.00937."""
    seed: int = 1


@dataclass(frozen=True)
class Quality:
    """Held-out errors, mean absolute difference in grey levels of 255, and use of the codes."""

    error: float
    constant_error: float
    """Of the mean colour of the pictures, everywhere."""
    block_error: float
    """Of the mean colour of each block that has a code: 24 bits in place of a code's."""
    used_codes: int
    perplexity: float
    """exp of the entropy of the codes: as many equally frequent ones would be as rich."""


def train(
    network: VqNetwork,
    pool: Tensor,
    options: TrainingOptions,
    progress: Callable[[float], object] = lambda loss: None,
) -> None:
    """Train a network with a plain quantiser on pictures (N, 3, S, S) uint8, S >= 2 * crop.

    Half of each batch are squares of pictures, half of pictures reduced to half their size:
    pretraining takes codes of the middle of a picture, and of whole small ones.  The same seed
    gives the same weights on one machine.
    """
    generator = torch.Generator().manual_seed(options.seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _Rate(options.steps))
    used = torch.zeros(network.config.num_codes, dtype=torch.bool)
    network.train()
    for step in range(options.steps):
        pixels = _draw_batch(pool, options, generator)
        latents = network.latents(pixels)
        if step == 0:
            # A codebook far from the vectors would be a single code for all of them.
            _restart(network, torch.zeros_like(used), latents, generator)
        codes = network.codes(latents.detach())
        loss = tokenizer_loss(network, pixels, latents, codes, options.commitment)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        used[codes.flatten()] = True
        if (step + 1) % _RESTART_EVERY == 0:
            if step < _RESTART_UNTIL * options.steps:
                _restart(network, used, latents, generator)
            used.zero_()
        progress(float(loss.detach()))
    network.eval()


def tokenizer_loss(
    network: VqNetwork, pixels: Tensor, latents: Tensor, codes: Tensor, commitment: float
) -> Tensor:
    """Mean absolute error of the pixels (arXiv:2012.09841, without its perceptual and adversarial
    parts) + |sg[z] - e|^2 + commitment * |z - sg[e]|^2 (arXiv:1711.00937, equation 3), as means.

    The decoder's gradient passes straight through the quantiser to the encoder.
    """
    vectors = network.vectors(codes)
    decoded = network.pixels(latents + (vectors - latents).detach())
    codebook = F.mse_loss(vectors, latents.detach())
    committed = F.mse_loss(latents, vectors.detach())
    return F.l1_loss(decoded, pixels) + codebook + commitment * committed


@torch.inference_mode()
def measure_quality(tokenizer: ImageTokenizer, pictures: Tensor) -> Quality:
    """Errors and code use on held-out pictures (N, 3, S, S) uint8."""
    factor = tokenizer.factor
    error = 0.0
    counts = torch.zeros(tokenizer.num_codes)
    for part in torch.split(pictures, 16):
        pixels = bytes_to_pixels(part)
        codes = tokenizer.encode(pixels)
        counts += codes.flatten().bincount(minlength=tokenizer.num_codes)
        error += float((tokenizer.decode(codes) - pixels).abs().sum())
    everything = bytes_to_pixels(pictures)
    constant = everything.mean(dim=(0, 2, 3), keepdim=True)
    blocks = F.interpolate(F.avg_pool2d(everything, factor), scale_factor=float(factor))
    shares = counts[counts > 0] / counts.sum()
    grey_levels = 255 / 2
    return Quality(
        error=error / everything.numel() * grey_levels,
        constant_error=float((everything - constant).abs().mean()) * grey_levels,
        block_error=float((everything - blocks).abs().mean()) * grey_levels,
        used_codes=int((counts > 0).sum()),
        perplexity=float(torch.exp(-(shares * shares.log()).sum())),
    )


class _Rate:
    """Share of the learning rate: linear warm-up, then a half cosine to zero."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __call__(self, step: int) -> float:
        warm = min(1.0, (step + 1) / min(_WARM_UP, 1 + self.steps // 10))
        return warm * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def _draw_batch(pool: Tensor, options: TrainingOptions, generator: torch.Generator) -> Tensor:
    """Pixels (B, 3, crop, crop): random squares of random pictures of the pool."""

    def draw(bound: int) -> int:
        return int(torch.randint(bound, (1,), generator=generator))

    crop = options.crop
    squares = []
    for index in range(options.batch_size):
        picture = pool[draw(len(pool))]
        scale = 1 + index % 2
        y, x = (draw(side - scale * crop + 1) for side in picture.shape[1:])
        square = bytes_to_pixels(picture[:, y : y + scale * crop, x : x + scale * crop])
        squares.append(F.avg_pool2d(square, scale))
    return torch.stack(squares)


@torch.no_grad()
def _restart(network: VqNetwork, used: Tensor, latents: Tensor, generator: torch.Generator) -> None:
    """Move codes that nothing chose to vectors of the batch (as in arXiv:2005.00341)."""
    unused = (~used).nonzero().flatten()
    vectors = latents.detach().movedim(1, -1).flatten(0, 2)  # (B*h*w, D)
    drawn = torch.randint(len(vectors), (len(unused),), generator=generator)
    network.quantize.codebook[unused] = vectors[drawn]
