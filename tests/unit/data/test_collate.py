from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch

from biomedgpt_fairseq.data.allowed import dense_allowed
from biomedgpt_fairseq.data.collate import collate, pack
from biomedgpt_fairseq.data.examples import Example
from biomedgpt_fairseq.data.image import HALF
from biomedgpt_fairseq.data.pixels import ImageScale, blank

SCALE = ImageScale(HALF, HALF)
PAD = 1
SHORT = Example(
    "a", torch.tensor([0, 5, 2]), torch.tensor([0, 7]), torch.tensor([7, 2]), None,
    prompt=[0], allowed=[[7, 9], [2]],
)  # fmt: skip
LONG = Example(
    "b", torch.tensor([0, 5, 6, 2]), torch.tensor([0, 5, 8]), torch.tensor([PAD, 8, 2]), None,
    prompt=[0, 5], allowed=[[], [8], [2]],
)  # fmt: skip


def test_rows_are_padded_on_the_right() -> None:
    batch = collate([SHORT, LONG], PAD, with_constraints=False)
    net_input = batch["net_input"]
    assert net_input["src_tokens"].tolist() == [[0, 5, 2, PAD], [0, 5, 6, 2]]
    assert net_input["src_lengths"].tolist() == [3, 4]
    assert net_input["prev_output_tokens"].tolist() == [[0, 7, PAD], [0, 5, 8]]
    assert batch["target"].tolist() == [[7, 2, PAD], [PAD, 8, 2]]
    assert (batch["id"].tolist(), batch["nsentences"], batch["ntokens"]) == (["a", "b"], 2, 4)


def test_optional_keys_are_there_only_when_examples_have_them() -> None:
    plain = replace(SHORT, prompt=None)
    assert set(collate([plain], PAD, False)) == {
        "id", "nsentences", "ntokens", "target", "net_input"
    }  # fmt: skip
    full = replace(SHORT, conf=0.5, references={"x": 1.0}, target_text="x")
    batch = collate([full, replace(full, conf=None)], PAD, False)
    assert batch["conf"].tolist() == [0.5, 1.0]
    assert batch["ref_dict"] == [{"x": 1.0}] * 2
    assert batch["target_strs"] == ["x", "x"]


def test_prefixes_have_neither_bos_nor_eos() -> None:
    source = replace(LONG, prompt=[0, 5, 6, 2])
    batch = collate([SHORT, source], PAD, False)
    assert batch["decoder_prompts"] == [[0], [0, 5, 6, 2]]
    assert batch["prefix_tokens"].tolist() == [[PAD, PAD], [5, 6]]
    assert "prefix_tokens" not in collate([SHORT], PAD, False)


def test_images_and_masks_are_stacked() -> None:
    real = replace(SHORT, image=torch.ones(3, 2, 2))
    blank = replace(SHORT, image=torch.zeros(3, 2, 2), image_is_real=False, is_code=True)
    net_input = collate([real, blank], PAD, False)["net_input"]
    assert net_input["patch_images"].shape == (2, 3, 2, 2)
    assert net_input["patch_masks"].tolist() == [True, False]
    assert net_input["code_masks"].tolist() == [False, True]
    with pytest.raises(ValueError, match="all examples of a batch"):
        collate([real, SHORT], PAD, False)


def test_images_stay_bytes_until_they_are_unpacked() -> None:
    pixels = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    examples = [replace(SHORT, image=p, image_scale=SCALE) for p in pixels]
    packed = pack(examples, PAD, False)
    assert packed.batch["net_input"]["patch_images"].dtype == torch.uint8
    images = packed.unpack()["net_input"]["patch_images"]
    assert images.is_contiguous()
    assert torch.equal(images, torch.stack([SCALE(p) for p in pixels]))
    assert torch.equal(images, collate(examples, PAD, False)["net_input"]["patch_images"])


def test_shared_pictures_are_sent_once_and_blank_ones_not_at_all() -> None:
    shared, own = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    images = [blank(4), shared, own, shared, blank(4)]
    examples = [
        replace(SHORT, image=image, image_scale=None if image.dtype == torch.float32 else SCALE)
        for image in images
    ]
    packed = pickle.loads(pickle.dumps(pack(examples, PAD, False)))  # noqa: S301
    assert torch.equal(packed.batch["net_input"]["patch_images"], torch.stack([shared, own]))
    unpacked = packed.unpack()["net_input"]["patch_images"]
    zeros = torch.zeros(3, 4, 4)
    expected = [zeros, SCALE(shared), SCALE(own), SCALE(shared), zeros]
    assert torch.equal(unpacked, torch.stack(expected))


def test_blank_pictures_alone_are_zeros() -> None:
    examples = [replace(SHORT, image=blank(4), image_is_real=False)] * 2
    images = collate(examples, PAD, False)["net_input"]["patch_images"]
    assert torch.equal(images, torch.zeros(2, 3, 4, 4))


def test_bytes_and_normalised_images_can_be_mixed() -> None:
    pixels = torch.randint(0, 256, (3, 4, 4), dtype=torch.uint8)
    first = replace(SHORT, image=pixels, image_scale=SCALE)
    second = replace(first, image=SCALE(pixels) + 1)
    images = collate([first, second], PAD, False)["net_input"]["patch_images"]
    assert torch.equal(images[0] + 1, images[1])
    other = replace(first, image_scale=ImageScale((0.0,) * 3, (1.0,) * 3))
    images = collate([first, other], PAD, False)["net_input"]["patch_images"]
    assert torch.equal(images[1], pixels / 255)


def test_dense_mask_allows_everything_in_padding_and_nothing_in_prompts() -> None:
    batch = collate([SHORT, LONG], PAD, with_constraints=True)
    sparse = batch["constraint_masks"]
    assert sparse["size"].tolist() == [2, 3]
    assert not hasattr(sparse, "shape")
    mask = dense_allowed(sparse, 10)
    assert mask.dtype == torch.bool
    allowed = [[row.nonzero().flatten().tolist() for row in sample] for sample in mask]
    assert allowed == [[[7, 9], [2], list(range(10))], [[], [8], [2]]]


def test_constraints_must_be_there_when_wanted() -> None:
    with pytest.raises(ValueError, match="row a: constraints are wanted"):
        collate([replace(SHORT, allowed=None)], PAD, with_constraints=True)


def test_empty_batch_raises() -> None:
    with pytest.raises(ValueError, match="at least one example"):
        collate([], PAD, False)


def test_small_tensors_travel_by_value_and_arrive_the_same() -> None:
    image = torch.arange(12, dtype=torch.uint8).view(3, 2, 2)
    examples = [replace(e, image=image, image_scale=SCALE) for e in (SHORT, LONG)]
    sent = pack(examples, PAD, with_constraints=True)
    state = sent.__getstate__()["batch"]
    assert not isinstance(state["target"], torch.Tensor)
    assert not isinstance(state["constraint_masks"]["ids"], torch.Tensor)
    arrived = pickle.loads(pickle.dumps(sent)).batch  # noqa: S301
    assert torch.equal(arrived["target"], sent.batch["target"])
    assert torch.equal(arrived["constraint_masks"]["ids"], sent.batch["constraint_masks"]["ids"])
    assert torch.equal(arrived["net_input"]["patch_images"], image[None])
