"""The action `train` of `biomedgpt image-codes`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from biomedgpt_fairseq.data.pixels import to_pixels
from biomedgpt_fairseq.data.sampling import epoch_order
from biomedgpt_fairseq.image_tokenizer.config import TokenizerConfig
from biomedgpt_fairseq.image_tokenizer.network import VqNetwork
from biomedgpt_fairseq.image_tokenizer.pictures import resized
from biomedgpt_fairseq.image_tokenizer.sources import open_pictures
from biomedgpt_fairseq.image_tokenizer.tokenizer import ImageTokenizer
from biomedgpt_fairseq.image_tokenizer.training import (
    Quality,
    TrainingOptions,
    measure_quality,
    train,
)
from biomedgpt_fairseq.image_tokenizer.weights import save_network
from biomedgpt_fairseq.phantoms.case import make_case

# Rows that `biomedgpt phantoms` does not reach: a tokenizer is to meet those as new ones.
_FIRST_PHANTOM = 4_000_000_000
_HELD_OUT = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options besides those of the input."""
    defaults = TrainingOptions()
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="weights, .safetensors"
    )
    parser.add_argument(
        "--pictures", type=positive, default=500, metavar="N", help="to train on, held in memory"
    )
    parser.add_argument("--steps", type=positive, default=defaults.steps, metavar="N")
    parser.add_argument("--batch-size", type=positive, default=defaults.batch_size, metavar="N")
    parser.add_argument("--lr", type=float, default=defaults.learning_rate)
    parser.add_argument(
        "--num-codes", type=positive, default=256, metavar="N", help="size of the codebook"
    )
    parser.add_argument(
        "--width", type=positive, default=8, metavar="N", help="channels at full size"
    )
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> None:
    """Train, measure on pictures that were held out, write weights and sizes."""
    if args.output.suffix != ".safetensors":
        raise ValueError(f"--output must end in .safetensors, found {args.output}")
    config = small_config(args.num_codes, args.width)
    options = TrainingOptions(
        steps=args.steps, batch_size=args.batch_size, learning_rate=args.lr, seed=args.seed
    )
    if args.size % config.factor or args.size < options.crop:
        raise ValueError(
            f"--size must be a multiple of {config.factor} and at least {options.crop}, "
            f"found {args.size}"
        )
    pool, held_out = _pictures(args)
    torch.manual_seed(args.seed)
    network = VqNetwork(config)
    with tqdm(total=args.steps, unit="step", desc="train", disable=None) as bar:
        train(network, pool, options, lambda loss: bar.update())
    # Rounded as in the file.
    quality = measure_quality(ImageTokenizer(network.half().float()), held_out)
    notes = {
        "source": args.input or "phantoms",
        "pictures": len(pool),
        "size": args.size,
        **asdict(options),
        "held_out": {"pictures": len(held_out), **asdict(quality)},
    }
    save_network(args.output, network, notes)
    print(f"wrote {args.output}\n{_described(quality, len(held_out), config.num_codes)}")


def small_config(num_codes: int, width: int) -> TokenizerConfig:
    """Sizes that train on a CPU in minutes; as many pixels per code as the published network."""
    return TokenizerConfig(
        quantizer="plain",
        num_codes=num_codes,
        code_dim=8,
        latent_channels=2 * width,
        width=width,
        multipliers=(1, 2, 2, 3),
        blocks=1,
        attention_levels=(),
        groups=4,
    )


def positive(text: str) -> int:
    """A number of at least 1, for options."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, found {number}")
    return number


def _pictures(args: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Training pictures (N, 3, 2S, 2S) and held-out ones (M, 3, S, S), uint8."""
    if args.input is None:
        total = args.pictures + _HELD_OUT
        found = _phantoms(args.seed, total, 2 * args.size)
    else:
        rows = open_pictures(args.input, args.selected_cols)
        if len(rows) < 2:
            raise ValueError(f"{args.input}: expected at least 2 pictures, to hold one out")
        order = epoch_order(len(rows), args.seed, epoch=1).tolist()
        total = min(len(rows), args.pictures + _HELD_OUT)
        found = (rows[index].picture for index in order[:total])
    kept_out = min(_HELD_OUT, total // 2)
    stored = [
        to_pixels(resized(picture, args.size if number < kept_out else 2 * args.size))
        for number, picture in enumerate(_counted(found, total))
    ]
    return torch.stack(stored[kept_out:]), torch.stack(stored[:kept_out])


def _phantoms(seed: int, count: int, side: int) -> Iterator[Image.Image]:
    for row in range(_FIRST_PHANTOM, _FIRST_PHANTOM + count):
        yield Image.fromarray(make_case(seed, row, side).image)


def _counted(pictures: Iterable[Image.Image], total: int) -> Iterator[Image.Image]:
    return iter(tqdm(pictures, desc="read", total=total, unit="picture", disable=None))


def _described(quality: Quality, pictures: int, num_codes: int) -> str:
    return (
        f"mean error on {pictures} held-out pictures, in grey levels of 255: {quality.error:.1f}; "
        f"one colour everywhere: {quality.constant_error:.1f}; "
        f"mean colour of each block: {quality.block_error:.1f}\n"
        f"codes used: {quality.used_codes} of {num_codes}, as rich as "
        f"{quality.perplexity:.0f} equally frequent ones"
    )
