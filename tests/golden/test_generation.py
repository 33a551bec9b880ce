"""Hypotheses and candidate scores of the original, reproduced with the same weights."""

from __future__ import annotations

import json
import math
import zlib
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from biomedgpt_fairseq.config import SIZES
from biomedgpt_fairseq.decoding.all_candidates import score_candidates
from biomedgpt_fairseq.decoding.fairseq_generator import build_generator
from biomedgpt_fairseq.models.transformer import build_transformer
from biomedgpt_fairseq.text.tokenizer import Tokenizer, load_tokenizer
from biomedgpt_fairseq.text.trie import AnswerTrie, build_answer_trie

pytestmark = pytest.mark.shared

CASES = [
    "free_beam5",
    "free_ngram2",
    "free_maxlena",
    "free_prefix_ok",
    "range_lenpen0.2",
    "range_unkpen_neg",
    "range_bins",
    "range_in_prefix",
    "trie20_beam10",
    "trie500_norm",
    "trie500_minlen3",
    "trie500_prefix_prev",
    "zeroshot_trie500",
    "zeroshot_range",
]
GRACEFUL = ["trie3_beam5", "trie3_beam10", "trie20_prefix_src"]
TIED = ("decoder.embed_tokens.weight", "decoder.output_projection.weight")


class Recorded(NamedTuple):
    """The recordings and what they were made with."""

    results: dict[str, Any]
    arrays: dict[str, np.ndarray]
    model: nn.Module
    tokenizer: Tokenizer


@pytest.fixture(scope="module")
def recorded(shared_dir: Path) -> Recorded:
    folder = shared_dir / "golden" / "gen"
    if not folder.is_dir():
        pytest.skip("no recordings beside the project")
    with np.load(folder / "inputs_ofa_tiny.npz") as file:
        arrays = dict(file)
    results = json.loads((folder / "results_ofa_tiny.json").read_text())
    model = build_transformer(SIZES["tiny"]).eval()
    fill_by_recipe(model)
    return Recorded(results, arrays, model, load_tokenizer(shared_dir / "data" / "bpe"))


def fill_by_recipe(model: nn.Module) -> None:
    """The weights of the recordings, from the names and shapes of the parameters alone."""
    values: dict[str, Tensor] = {}
    for key, old in model.state_dict().items():
        if not old.is_floating_point() or key in TIED:
            continue
        rng = np.random.RandomState(zlib.crc32(key.encode()) & 0xFFFFFFFF)
        fan = math.prod(old.shape[1:]) if old.dim() >= 2 else 2500
        new = rng.standard_normal(old.shape).astype(np.float32) * np.float32(1 / math.sqrt(fan))
        if key.endswith("running_var"):
            new = 1 + np.abs(new)
        elif old.dim() == 1 and key.endswith(("weight", "c_attn")):
            new = 1 + new
        values[key] = torch.from_numpy(np.asarray(new, dtype=np.float32))
    model.load_state_dict(values, strict=False)


def batch_of(recorded: Recorded, name: str) -> dict[str, Any]:
    arrays = recorded.arrays
    images = torch.from_numpy(arrays["images_u8"]).permute(0, 3, 1, 2).float()
    return {
        "src_tokens": torch.from_numpy(arrays[f"{name}/src_tokens"]),
        "patch_images": images.div(255).sub(0.5).div(0.5),
        "patch_masks": torch.from_numpy(arrays[f"{name}/patch_masks"]),
    }


def trie_of(recorded: Recorded, number: int) -> AnswerTrie:
    return build_answer_trie(recorded.tokenizer, recorded.results["answers"][str(number)])


def generate(recorded: Recorded, name: str) -> list[list[dict[str, Any]]]:
    case = recorded.results["generation"][name]
    bounds = [f.split("=")[1] for f in case["task_flags"] if f.startswith("--constraint-range")]
    generator = build_generator(
        recorded.tokenizer.vocab,
        Namespace(**case["generator_args"]),
        trie=trie_of(recorded, case["answers"]) if case["use_trie"] else None,
        constraint_range=tuple(map(int, bounds[0].split(","))) if bounds else None,
    )
    generator.zero_shot = name.startswith("zeroshot")
    prefix = None
    if case["use_prefix"]:
        prefix = torch.from_numpy(recorded.arrays[f"{case['sample']}/prefix_tokens"])
    sample = {"net_input": batch_of(recorded, case["sample"])}
    return generator.generate([recorded.model], sample, prefix_tokens=prefix)


@pytest.mark.parametrize("name", CASES)
def test_hypotheses_equal_the_recording(name: str, recorded: Recorded) -> None:
    found = generate(recorded, name)

    case = recorded.results["generation"][name]
    in_order = case["min_gap_between_beams"] > 1e-4
    for expected, ranked in zip(case["hypotheses"], found, strict=True):
        want = [h["tokens"] for h in expected]
        got = {tuple(h["tokens"].tolist()): h for h in ranked}
        assert len(got) == len(ranked)
        if in_order:
            assert list(got) == [tuple(tokens) for tokens in want]
        assert set(got) == {tuple(tokens) for tokens in want}
        for h in expected:
            twin = got[tuple(h["tokens"])]
            assert float(twin["score"]) == pytest.approx(h["score"], rel=2e-5, abs=2e-5)
            assert twin["positional_scores"].tolist() == pytest.approx(
                h["positional_scores"], rel=2e-5, abs=2e-5
            )


@pytest.mark.parametrize("name", GRACEFUL)
def test_search_finishes_where_the_original_could_not(name: str, recorded: Recorded) -> None:
    case = recorded.results["generation"][name]
    answers = [tuple(a) for a in trie_of(recorded, case["answers"]).sequences]

    for ranked in generate(recorded, name):
        tokens = [tuple(h["tokens"].tolist()) for h in ranked]
        assert 1 <= len(tokens) <= case["generator_args"]["beam"]
        assert len(set(tokens)) == len(tokens)
        assert all(any(t[-len(a) :] == a for a in answers) for t in tokens)
        assert all(math.isfinite(h["score"]) for h in ranked)


@pytest.mark.parametrize("prompt", ["none", "src", "prev_output"])
def test_candidate_scores_equal_the_recording(prompt: str, recorded: Recorded) -> None:
    case = recorded.results["evaluation"][f"vqa_allcand_{prompt}"]
    arrays, sample = recorded.arrays, case["sample"]
    prefix = [
        [0, *(t for t in row if t != 1)] for row in arrays[f"{sample}/prefix_tokens"].tolist()
    ]

    scores = score_candidates(
        [recorded.model],
        batch_of(recorded, sample),
        prefix,
        trie_of(recorded, case["answers"]),
        chunk=case["valid_batch_size"],
    )

    expected = np.asarray(case["float64"]["scores"])
    np.testing.assert_allclose(scores.numpy(), expected, rtol=0, atol=1e-5 * abs(expected).max())
