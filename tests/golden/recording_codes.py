"""Codes and pixels of small seeded image tokenizers, and of the one that is shipped.

`python tests/golden/recording_codes.py` records them anew; do that only for a change that is meant
to move them, after the comparison with the original's recordings has passed.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from biomedgpt_fairseq.image_tokenizer.config import TokenizerConfig
from biomedgpt_fairseq.image_tokenizer.network import VqNetwork
from biomedgpt_fairseq.image_tokenizer.pictures import picture_to_pixels, resized
from biomedgpt_fairseq.image_tokenizer.tokenizer import load_image_tokenizer

RECORDED = Path(__file__).with_name("recorded_codes.json")
SIZES = {
    "num_codes": 60,
    "code_dim": 8,
    "latent_channels": 12,
    "width": 16,
    "multipliers": (1, 1, 2, 2),
    "blocks": 2,
    "attention_levels": (3,),
    "groups": 8,
}


def seeded_network(quantizer: str) -> VqNetwork:
    """A network whose weights follow from their names, as those of the original's recordings."""
    spec = importlib.util.spec_from_file_location(
        "recording", Path(__file__).with_name("recording.py")
    )
    recording = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recording)
    network = VqNetwork(TokenizerConfig(quantizer=quantizer, **SIZES))
    state = {k: recording.weight(k, tuple(v.shape)) for k, v in network.state_dict().items()}
    network.load_state_dict(state)
    return network.eval()


def pixels() -> Tensor:
    """A fixed pattern (1, 3, 64, 64), in colour and with edges, through the resizing."""
    values = bytes((x * x + 3 * y * c + (x // 9) * 40) % 256
                   for y in range(50) for x in range(70) for c in range(3))  # fmt: skip
    return picture_to_pixels(resized(Image.frombytes("RGB", (70, 50), values), 64))[None]


def measure_network(network: VqNetwork, inputs: Tensor) -> dict[str, Any]:
    """Codes, how far each leads, and every seventh pixel of their picture."""
    with torch.no_grad():
        scores = network.quantize.scores(network.latents(inputs))
        best = scores.topk(2, dim=1).values
        codes = scores.argmax(1)
        decoded = network.pixels(network.vectors(codes))
    return {
        "codes": codes.flatten().tolist(),
        "lead": (best[:, 0] - best[:, 1]).flatten().tolist(),
        "pixels": decoded[0, :, ::7, ::7].flatten().tolist(),
    }


def measure() -> dict[str, Any]:
    """All that is recorded, by name of the tokenizer."""
    torch.set_num_threads(1)
    networks = {
        "gumbel": seeded_network("gumbel"),
        "plain": seeded_network("plain"),
        "embedded": load_image_tokenizer().network,
    }
    return {name: measure_network(network, pixels()) for name, network in networks.items()}


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(measure()) + "\n", encoding="utf-8")
    print(f"wrote {RECORDED}", file=sys.stderr)
