"""Numbers of a small seeded network on synthetic rows, from picture to answer.

`python tests/golden/recording.py` records them anew; do that only for a change that is meant to
move numbers, after the comparison with the original's recordings has passed.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

RECORDED = Path(__file__).with_name("recorded.json")
ANSWERS = ["yes", "no", "left lung", "left kidney", "right lung", "mass", "no finding"]
NETWORK = {
    "arch": "ofa_micro",
    "scale_attn": True,
    "scale_fc": True,
    "scale_heads": True,
    "disable_entangle": True,
    "code_image_size": 128,
}


def weight(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Value of a parameter or buffer: normal, seeded by its name, scaled by its fan-in."""
    rng = np.random.RandomState(zlib.crc32(key.encode()) & 0xFFFFFFFF)
    fan = math.prod(shape[1:]) if len(shape) > 1 else 2500
    value = rng.standard_normal(shape).astype(np.float32) / np.float32(math.sqrt(fan))
    if key.endswith("running_var"):
        value = 1 + abs(value)
    elif len(shape) == 1 and key.endswith(("weight", "c_attn")):
        value = 1 + value
    return torch.from_numpy(value)


def fill(model: torch.nn.Module) -> None:
    """Give every floating-point tensor the value of its name; tied ones that of the encoder's."""
    state = model.state_dict()
    for key, value in state.items():
        tied = "embed_tokens" in key or "output_projection" in key
        name = "encoder.embed_tokens.weight" if tied else key
        if torch.is_floating_point(value):
            state[key] = weight(name, tuple(value.shape))
    model.load_state_dict(state, strict=True)


def measure() -> dict[str, Any]:
    """Tokens, logits, loss, candidate scores and hypotheses of three questions."""
    import fairseq  # noqa: F401  first, so that the plugin registers

    from biomedgpt_fairseq.criterions.label_smoothed import (
        LabelSmoothedCriterion,
        LabelSmoothedOptions,
    )
    from biomedgpt_fairseq.models.fairseq_model import OfaModel
    from biomedgpt_fairseq.phantoms.rows import RowOptions, make_vqa_row
    from biomedgpt_fairseq.tasks.options import VqaOptions
    from biomedgpt_fairseq.tasks.vqa_gen import VqaTask
    from biomedgpt_fairseq.text.compact import train_compact_vocabulary
    from biomedgpt_fairseq.text.tokenizer import load_tokenizer

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train_compact_vocabulary(ANSWERS * 3, 400, folder / "vocabulary")
        rows = [make_vqa_row(RowOptions(seed=11, side=48), row) for row in range(3)]
        for row, answer in zip(rows, ANSWERS, strict=False):
            row[3] = f"1.0|!+{answer}"
        (folder / "rows.tsv").write_text("\n".join("\t".join(row) for row in rows) + "\n")
        options = VqaOptions(
            data=str(folder / "rows.tsv"),
            selected_cols="0,5,2,3,4",
            bpe_dir=str(folder / "vocabulary"),
            patch_image_size=64,
            num_bins=20,
            code_dict_size=30,
            ans2label_dict=json.dumps(ANSWERS),
            prompt_type="prev_output",
            seed=1,
        )
        task = VqaTask(options, load_tokenizer(folder / "vocabulary", 30, 20))
        task.load_dataset("valid")
        dataset = task.dataset("valid")
        sample = dataset.collater([dataset[i] for i in range(3)])
    model = OfaModel.from_options(NETWORK, len(task.dictionary)).eval()
    fill(model)
    criterion = LabelSmoothedCriterion(LabelSmoothedOptions(label_smoothing=0.1), task).eval()
    with torch.no_grad():
        logits = model(**sample["net_input"])[0]
        loss, size, _ = criterion(model, sample)
        scores = task.score_candidates([model], sample)
        found = task.search_texts([model], sample, top_k=3)
    return {
        "src_tokens": sample["net_input"]["src_tokens"].tolist(),
        "target": sample["target"].tolist(),
        "pixels": sample["net_input"]["patch_images"][:, :, ::16, ::16].flatten().tolist(),
        "logits": logits[:, -1, ::41].tolist(),
        "logsumexp": logits.logsumexp(-1)[:, -1].tolist(),
        "loss": float(loss),
        "sample_size": int(size),
        "candidate_scores": scores.tolist(),
        "answers": [[text for text, _ in ranked] for ranked in found],
        "beam_scores": [[score for _, score in ranked] for ranked in found],
    }


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    print(f"wrote {RECORDED}", file=sys.stderr)
