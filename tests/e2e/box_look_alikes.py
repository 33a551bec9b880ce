"""Models with random weights that answer with boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from biomedgpt_fairseq.models.fairseq_model import OfaModel
from biomedgpt_fairseq.text.compact import train_compact_vocabulary
from biomedgpt_fairseq.text.tokenizer import load_tokenizer

BINS = 33
MODEL = {"arch": "ofa_micro", "scale_attn": True, "scale_fc": True}


def make_box_checkpoints(root: Path) -> Path:
    """detection.pt, which knows two names, and grounding.pt, for pictures of 32 pixels."""
    train_compact_vocabulary(["a mass", "the left lung"], 300, root / "bpe")
    torch.manual_seed(1)
    model = OfaModel.from_options(MODEL, len(load_tokenizer(root / "bpe", 0, BINS).vocab))
    names = {"object_names": ["mass", "left lung"]}
    for name, task, state in (
        ("detection", "detection", names),
        ("grounding", "visual_grounding", {}),
    ):
        options: dict[str, Any] = {
            "_name": task,
            "bpe_dir": str(root / "bpe"),
            "code_dict_size": 0,
            "num_bins": BINS,
            "patch_image_size": 32,
            "max_image_size": 32,
        }
        cfg = {"task": options, "model": MODEL}
        content = {"args": None, "cfg": cfg, "model": model.state_dict(), "task_state": state}
        torch.save(content, root / f"{name}.pt")
    return root
