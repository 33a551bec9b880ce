"""Row builders and collate against recorded batches of the original."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from biomedgpt_fairseq.data import examples as builders
from biomedgpt_fairseq.data.allowed import dense_allowed
from biomedgpt_fairseq.data.collate import Batch, collate
from biomedgpt_fairseq.data.image import (
    HALF,
    IMAGENET_MEAN,
    IMAGENET_STD,
    ImageLoader,
    ImageTransform,
)
from biomedgpt_fairseq.data.sampling import row_generator
from biomedgpt_fairseq.text.instructions import get_instruction
from biomedgpt_fairseq.text.tokenizer import Tokenizer, load_tokenizer
from biomedgpt_fairseq.text.trie import build_answer_trie

pytestmark = pytest.mark.shared

PAD = 1
TASKS = {
    "vqa_gen": ("vqa", builders.make_vqa_example),
    "image_classify": ("image_classify", builders.make_classify_example),
    "caption": ("caption", builders.make_caption_example),
    "mnli": ("mnli", builders.make_nli_example),
    "gigaword": ("summary", builders.make_summary_example),
}
CASES = [
    *(f"vqa_{p}_obj{o}" for p in ("none", "src", "prev_output") for o in (0, 1)),
    "vqa_limits", "vqa_unconstrained", "vqa_six_cols", "vqa_train_split",
    "caption_valid", "caption_valid_maxtgt3", "caption_train", "caption_train_maxtgt3",
    "caption_scst_train", "classify_valid", "classify_valid_half",
    "summary_default", "summary_short", "summary_noise0.2", "summary_noise0.9",
    "mnli_none", "mnli_src", "mnli_prev_output", "mnli_short",
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer(shared_dir: Path) -> Tokenizer:
    return load_tokenizer(shared_dir / "data" / "bpe")


@pytest.fixture(scope="module")
def cases(shared_dir: Path) -> dict[str, Any]:
    return json.loads((shared_dir / "golden/samples/cases.json").read_text())


@pytest.fixture(scope="module")
def pictures(shared_dir: Path) -> dict[str, str]:
    return json.loads((shared_dir / "golden/samples/images.json").read_text())


@pytest.fixture(scope="module")
def patches(shared_dir: Path) -> dict[str, np.ndarray]:
    return np.load(shared_dir / "golden/samples/patches.npz")


def flags(case: dict[str, Any]) -> dict[str, str]:
    pairs = (flag.removeprefix("--").partition("=") for flag in case["flags"])
    return {name: value for name, _, value in pairs}


def make_batch(case: dict[str, Any], tokenizer: Tokenizer, pictures: dict[str, str]) -> Batch:
    options = flags(case)
    instruction, build = TASKS[case["task"]]
    imagenet = "imagenet-default-mean-and-std" in options
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if imagenet else (HALF, HALF)
    answers = case["ans2label"] or (
        {"maybe": 0, "yes": 1, "no": 2} if "mnli" in case["task"] else None
    )
    trie = build_answer_trie(tokenizer, list(answers)) if answers else None
    tools = builders.RowTools(
        tokenizer,
        get_instruction(instruction),
        ImageLoader(ImageTransform(int(options.get("patch-image-size", 480)), mean, std)),
        trie,
    )
    row_options = builders.RowOptions(
        max_src_length=int(options.get("max-src-length", 128)),
        max_tgt_length=int(options.get("max-tgt-length", 30)),
        prompt_type=options.get("prompt-type", "none"),  # type: ignore[arg-type]
        add_object="add-object" in options,
        max_object_length=int(options.get("max-object-length", 30)),
        all_references=case["split"] != "train" or "scst" in options,
        noise_ratio=float(options.get("noise-ratio", 0)),
    )
    rows = [[pictures[c[1:]] if c.startswith("@") else c for c in row] for row in case["rows"]]
    made = [build(row, i, tools, row_options, row_generator(1, 1, i)) for i, row in enumerate(rows)]
    return collate(made, PAD, with_constraints=trie is not None)


def array(stored: dict[str, Any]) -> np.ndarray:
    return np.asarray(stored["data"]).reshape(stored["shape"])


@pytest.mark.parametrize("name", CASES)
def test_batch_equals_recording(
    name: str,
    cases: dict[str, Any],
    pictures: dict[str, str],
    patches: dict[str, np.ndarray],
    tokenizer: Tokenizer,
) -> None:
    case = cases[name]
    batch = make_batch(case, tokenizer, pictures)
    want, net_input = case["sample"], case["sample"]["net_input"]
    # A closed-set answer is not cut here, unlike in the recording.
    whole = name == "vqa_limits"
    for key in ("src_tokens", "src_lengths"):
        np.testing.assert_array_equal(batch["net_input"][key], array(net_input[key]))  # type: ignore[literal-required]
    if not whole:
        np.testing.assert_array_equal(batch["target"], array(want["target"]))
        assert batch["ntokens"] == want["ntokens"]
        if "noise" not in name:
            np.testing.assert_array_equal(
                batch["net_input"]["prev_output_tokens"], array(net_input["prev_output_tokens"])
            )
    check_picture(batch, net_input.get("patch_images"), patches)
    if case["task"] in ("vqa_gen", "caption"):
        assert list(batch["id"]) == [str(i) for i in want["id"]["data"]]
    if want.get("conf"):
        np.testing.assert_allclose(batch["conf"], array(want["conf"]), rtol=1e-6)
    for key in ("ref_dict", "target_strs", "decoder_prompts"):
        if want.get(key):
            assert batch[key] == want[key]["data"], key  # type: ignore[literal-required]
    if want.get("prefix_tokens") and want["prefix_tokens"]["shape"][1]:
        stored = [[t for t in r if t not in (PAD, 2)] for r in want["prefix_tokens"]["data"]]
        assert [[t for t in r if t != PAD] for r in batch["prefix_tokens"].tolist()] == stored
    if want.get("constraint_masks") and not whole:
        check_allowed(batch, want["constraint_masks"])


def check_picture(
    batch: Batch, stored: dict[str, Any] | None, patches: dict[str, np.ndarray]
) -> None:
    if stored is None:
        assert "patch_images" not in batch["net_input"]
        return
    images = batch["net_input"]["patch_images"]
    assert list(images.shape) == stored["shape"]
    assert bool(batch["net_input"]["patch_masks"].all())
    step = stored["stride"]
    np.testing.assert_allclose(images[:, :, ::step, ::step], patches[stored["npz"]], atol=1e-6)


def check_allowed(batch: Batch, stored: dict[str, Any]) -> None:
    size, width, vocab_size = stored["shape"]
    dense = dense_allowed(batch["constraint_masks"], vocab_size)
    assert dense.shape == (size, width, vocab_size)
    for position, ids in enumerate(stored["rows"]):
        row = dense[position // width, position % width]
        assert bool(row.all()) if ids == "all" else torch.nonzero(row).flatten().tolist() == ids


def test_noise_replaces_the_asked_share_only(
    cases: dict[str, Any], pictures: dict[str, str], tokenizer: Tokenizer
) -> None:
    case = cases["summary_noise0.2"]
    clean = make_batch({**case, "flags": []}, tokenizer, pictures)
    noisy = make_batch({**case, "flags": ["--noise-ratio=0.9"]}, tokenizer, pictures)
    before, after = (b["net_input"]["prev_output_tokens"] for b in (clean, noisy))
    changed = before != after
    assert not changed[:, 0].any()
    assert not changed[before == PAD].any()
    assert changed.sum() >= 7
    assert bool(((after[changed] >= 4) & (after[changed] < 50265)).all())


def test_answer_is_whole_when_it_has_to_be_in_the_closed_set(
    cases: dict[str, Any], pictures: dict[str, str], tokenizer: Tokenizer
) -> None:
    batch = make_batch(cases["vqa_limits"], tokenizer, pictures)
    answers = [[t for t in row if t != PAD] for row in batch["target"].tolist()]
    assert answers == [[16415, 9799, 22089, 15727, 2], [117, 2], [314, 12855, 2]]


def test_label_outside_the_three_raises(
    cases: dict[str, Any], pictures: dict[str, str], tokenizer: Tokenizer
) -> None:
    with pytest.raises(ValueError, match="expected label 0, 1 or 2 .*found 'entailment'"):
        make_batch(cases["mnli_bad_label"], tokenizer, pictures)
