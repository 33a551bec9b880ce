"""A pretrained model and an image tokenizer with random weights, and rows to fill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from biomedgpt_fairseq.image_tokenizer.config import TokenizerConfig
from biomedgpt_fairseq.image_tokenizer.network import VqNetwork
from biomedgpt_fairseq.image_tokenizer.weights import save_network
from biomedgpt_fairseq.models.fairseq_model import OfaModel
from biomedgpt_fairseq.text.tokenizer import load_tokenizer
from tests.unit.tasks.unify_phantoms import make_folder

CODES = 64
MODEL = {"arch": "ofa_micro", "scale_attn": True, "scale_fc": True, "code_image_size": 32}


def make_infill_folder(root: Path) -> Path:
    """Rows of pretraining, and pretrained.pt for pictures of 64 pixels with 16 codes."""
    make_folder(root)
    torch.manual_seed(1)
    model = OfaModel.from_options(MODEL, len(load_tokenizer(root / "bpe", CODES, 1000).vocab))
    for value in model.parameters():
        # The initial weights answer alike whatever they see.
        value.data += 0.2 * torch.randn_like(value)
    task = {
        "_name": "unify_task",
        "bpe_dir": str(root / "bpe"),
        "code_dict_size": CODES,
        "patch_image_size": 32,
        "code_image_size": 32,
        "image_data": str(root / "image.tsv"),
    }
    content = {"args": None, "cfg": {"task": task, "model": MODEL}, "model": model.state_dict()}
    torch.save(content, root / "pretrained.pt")
    return root


def save_tokenizer(path: Path, num_codes: int = CODES) -> Path:
    """An image tokenizer with random weights."""
    torch.manual_seed(2)
    small: dict[str, Any] = {"code_dim": 4, "latent_channels": 4, "width": 4, "groups": 2}
    save_network(path, VqNetwork(TokenizerConfig(num_codes=num_codes, blocks=1, **small)), {})
    return path
