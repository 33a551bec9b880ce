"""The smoothing function against losses recorded from the original."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from biomedgpt_fairseq.losses.label_smoothing import (
    LossConfig,
    allowed_from_mask,
    columns_of,
    smoothed_loss,
    window_columns,
)

pytestmark = pytest.mark.shared
NAMES = [f"f{number}" for number in range(10)]


@pytest.mark.parametrize("name", NAMES)
def test_loss_equals_the_recording(name: str, shared_dir: Path) -> None:
    folder = shared_dir / "golden" / "loss"
    if not folder.is_dir():
        pytest.skip("no recordings beside the project")
    case = json.loads((folder / "function_losses.json").read_text())[name]
    args = case["args"]
    with np.load(folder / "function_inputs.npz") as arrays:
        lprobs = torch.from_numpy(arrays["lprobs"]).float()
        target = torch.tensor(case["target_override"] or arrays["target"].tolist())
        mask = torch.from_numpy(arrays["constraint_masks"])[None]
    if args.get("rdrop") and args.get("rng"):
        pytest.skip("recorded without normalising over the window")
    rows, allowed, shift = torch.arange(len(target)), None, 0.0
    if args.get("cm"):
        allowed = allowed_from_mask(mask, rows)
    if args.get("rng"):
        columns = window_columns(*args["rng"], lprobs.size(1), lprobs.device)
        lprobs, target = lprobs[:, columns], columns_of(target, columns)
        # Recorded without normalising over the window; the loss's weights add up to 1 per token.
        shift = float(lprobs.logsumexp(1).sum())
    config = LossConfig(args["eps"], args.get("drop", 0.0), args.get("alpha"))
    got = smoothed_loss(lprobs, rows, target, config, allowed)
    assert float(got.loss) == pytest.approx(case["loss"] + shift, rel=2e-6)
    assert float(got.nll) == pytest.approx(case["nll_loss"] + shift, rel=2e-6)
    assert got.kept == case["ntokens"]
