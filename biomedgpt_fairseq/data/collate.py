"""Examples -> padded batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data._utils.pin_memory import pin_memory

from biomedgpt_fairseq.data.allowed import SparseAllowed, sparse_allowed
from biomedgpt_fairseq.data.composition import Example
from biomedgpt_fairseq.data.pixels import ImageScale, is_blank
from biomedgpt_fairseq.text.vocab import Vocabulary

_SMALL_BYTES = 1 << 16


class NetInput(TypedDict):
    """Arguments of the model.

    src_tokens (B, S), src_lengths (B,), prev_output_tokens (B, T) int64;
    patch_images (B, 3, R, R) float32; patch_masks (B,) bool, true: the image is real;
    code_masks (B,) bool, true: the target is image codes.
    """

    src_tokens: Tensor
    src_lengths: Tensor
    prev_output_tokens: Tensor
    patch_images: NotRequired[Tensor]
    patch_masks: NotRequired[Tensor]
    code_masks: NotRequired[Tensor]


class Batch(TypedDict):
    """A batch as the criterion, the generator and the trainer take it.

    id: row ids (B,) as str, in an array because fairseq-generate asks for `tolist`; ntokens: target
    tokens that count; target (B, T) int64; conf (B,) float32;
    decoder_prompts: with bos; prefix_tokens (B, t) int64: prompts without bos and eos.
    image_sizes: (B, 2) int64, width and height of the pictures of boxes.
    kind: of the examples, in validation of pretraining.
    """

    id: npt.NDArray[np.object_]
    nsentences: int
    ntokens: int
    target: Tensor
    net_input: NetInput
    conf: NotRequired[Tensor]
    ref_dict: NotRequired[list[dict[str, float]]]
    target_strs: NotRequired[list[str]]
    decoder_prompts: NotRequired[list[list[int]]]
    prefix_tokens: NotRequired[Tensor]
    constraint_masks: NotRequired[SparseAllowed]
    kind: NotRequired[str]
    image_sizes: NotRequired[Tensor]


@dataclass
class PackedBatch:
    """A batch on its way from a worker: images as bytes, to be normalised where they arrive.

    image_scale: None where images are as the network wants them.
    image_places: of each example's picture among those of the batch, negative if it is blank;
    examples of one row share a picture.
    """

    batch: Batch
    image_scale: ImageScale | None = None
    image_places: Sequence[int] = ()

    def unpack(self, empty: Callable[[torch.Size], Tensor] = torch.empty) -> Batch:
        """The batch with images in float32, in memory from `empty`."""
        net_input = self.batch["net_input"]
        images = net_input.get("patch_images")
        if self.image_scale is not None and images is not None:
            values = empty(torch.Size([len(self.image_places), *images.shape[1:]]))
            self.image_scale.spread(images, self.image_places, values)
            net_input["patch_images"] = values
        return self.batch

    def pin_memory(self) -> Batch:
        """Called by the loader's own thread, which so takes the work off the trainer's."""
        pinned: Batch = pin_memory(  # type: ignore[no-untyped-call]
            self.unpack(functools.partial(torch.empty, pin_memory=True))
        )
        return pinned

    def __getstate__(self) -> dict[str, Any]:
        # A tensor is sent as a file of shared memory; for a small one that costs far more than to
        # send its values.
        return {**vars(self), "batch": _small_as_arrays(self.batch)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, batch=_as_tensors(state["batch"]))


def collate(examples: Sequence[Example], pad: int, with_constraints: bool) -> Batch:
    """Batch of at least one example; right-padded.  Optional keys are there when examples have
    them; an example without image beside some with image raises ValueError.
    """
    return pack(examples, pad, with_constraints).unpack()


def pack(examples: Sequence[Example], pad: int, with_constraints: bool) -> PackedBatch:
    """The batch of `collate` with images as bytes, if all but blank ones are bytes of one scale."""
    if not examples:
        raise ValueError("a batch needs at least one example")
    target = pad_rows([e.target for e in examples], pad)
    scale = _common_scale(examples)
    images, places = _images(examples, scale)
    batch = Batch(
        id=np.array([e.row_id for e in examples], dtype=object),
        nsentences=len(examples),
        ntokens=int((target != pad).sum()),
        target=target,
        net_input=_net_input(examples, images, pad),
    )
    if any(e.conf is not None for e in examples):
        batch["conf"] = torch.tensor([1.0 if e.conf is None else e.conf for e in examples])
    if all(e.references is not None for e in examples):
        batch["ref_dict"] = [e.references for e in examples if e.references is not None]
    if all(e.target_text is not None for e in examples):
        batch["target_strs"] = [e.target_text for e in examples if e.target_text is not None]
    prompts = [e.prompt for e in examples if e.prompt is not None]
    if len(prompts) == len(examples):
        batch["decoder_prompts"] = prompts
        forced = [[t for t in p if t not in (Vocabulary.bos, Vocabulary.eos)] for p in prompts]
        if any(forced):
            batch["prefix_tokens"] = pad_rows([torch.tensor(f).long() for f in forced], pad)
    sizes = [e.image_size for e in examples if e.image_size is not None]
    if len(sizes) == len(examples):
        batch["image_sizes"] = torch.tensor(sizes)
    if with_constraints:
        batch["constraint_masks"] = sparse_allowed(examples, target.size(1))
    return PackedBatch(batch, scale, places)


def pad_rows(rows: Sequence[Tensor], pad: int) -> Tensor:
    """Rows of different lengths -> (B, longest) with pad on the right."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=pad)


@dataclass
class _Values:
    """Values of a tensor."""

    array: np.ndarray


def _small_as_arrays(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _small_as_arrays(inner) for key, inner in value.items()}
    if isinstance(value, Tensor) and value.nbytes <= _SMALL_BYTES:
        return _Values(value.numpy())
    return value


def _as_tensors(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_tensors(inner) for key, inner in value.items()}
    return torch.from_numpy(value.array) if isinstance(value, _Values) else value


def _net_input(examples: Sequence[Example], images: Sequence[Tensor], pad: int) -> NetInput:
    net_input = NetInput(
        src_tokens=pad_rows([e.source for e in examples], pad),
        src_lengths=torch.tensor([len(e.source) for e in examples]),
        prev_output_tokens=pad_rows([e.prev_output for e in examples], pad),
    )
    if images:
        net_input["patch_images"] = torch.stack(list(images))
        net_input["patch_masks"] = torch.tensor([e.image_is_real for e in examples])
    if any(e.is_code is not None for e in examples):
        net_input["code_masks"] = torch.tensor([bool(e.is_code) for e in examples])
    return net_input


def _images(
    examples: Sequence[Example], scale: ImageScale | None
) -> tuple[list[Tensor], list[int]]:
    """The images to send and the place of each example's; all of them in float32 without scale."""
    present = [e.image for e in examples if e.image is not None]
    if present and len(present) != len(examples):
        raise ValueError("all examples of a batch, or none, must have an image")
    if scale is None:
        normalised = [e.normalized_image() for e in examples]
        return [image for image in normalised if image is not None], []
    sent = {id(image): image for image in present if not is_blank(image)}
    place = {key: number for number, key in enumerate(sent)}
    return list(sent.values()), [place.get(id(image), -1) for image in present]


def _common_scale(examples: Sequence[Example]) -> ImageScale | None:
    """The scale of all images that are not blank, when they are bytes and there is any."""
    scales = {
        e.image_scale if e.image is not None and e.image.dtype == torch.uint8 else None
        for e in examples
        if e.image is None or not is_blank(e.image)
    }
    return scales.pop() if len(scales) == 1 else None
