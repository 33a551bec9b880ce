"""Parameters, operations and kept memory of a training step, counted without its numbers.

The real network runs on torch's meta device, where tensors have a shape and nothing else. Both
counts grow linearly with the examples of a group, so one and two examples tell all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.models.transformer import build_transformer
from biomedgpt_fairseq.planning.step import Group, group_loss

_META = torch.device("meta")


@dataclass(frozen=True)
class Counts:
    """Of one group.  Bytes are those that autograd keeps from the forward to the backward pass.

    operations: multiplications and additions of both passes.
    layers: bytes inside of encoder and decoder layers; layer: of the one that keeps most.
    inputs: bytes of the layers' inputs, which are all that checkpointing keeps of them.
    rest: bytes of the image trunk, embeddings, shared biases and loss.
    largest: bytes of the largest single tensor.
    """

    operations: int = 0
    layers: int = 0
    layer: int = 0
    inputs: int = 0
    rest: int = 0
    largest: int = 0


class GroupCounts(NamedTuple):
    """Counts of a group with one and with two examples."""

    one: Counts
    two: Counts

    def of(self, examples: int) -> Counts:
        """Counts of so many examples."""
        values = {}
        for field in fields(Counts):
            one, two = getattr(self.one, field.name), getattr(self.two, field.name)
            values[field.name] = one + (examples - 1) * (two - one)
        return Counts(**values)


def build_on_meta(config: ModelConfig, dtype: torch.dtype) -> nn.Module:
    """The network in training mode, without memory."""
    with _META:
        return build_transformer(config).to(dtype).train()


def count_parameters(network: nn.Module) -> int:
    """Numbers that are trained, each once."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_groups(
    config: ModelConfig, groups: Sequence[Group], dtype: torch.dtype
) -> list[GroupCounts]:
    """Counts of each group; operations include what checkpointing computes twice."""
    # Under checkpointing autograd does not see what a layer keeps.
    network = build_on_meta(replace(config, checkpoint_activations=False), dtype)
    found = []
    for group in groups:
        pair = []
        for examples in (1, 2):
            with StepCounter(network, repeat_layers=config.checkpoint_activations) as counter:
                group_loss(network, group.of(examples), config.vocab_size, _META, dtype)
            pair.append(counter.counts())
        found.append(GroupCounts(*pair))
    return found


class StepCounter:
    """Operations of a forward pass, the tensors that autograd keeps, each piece of memory once,
    and the layers that keep them.

    repeat_layers: whether the backward pass computes the layers once more.
    """

    def __init__(self, network: nn.Module, repeat_layers: bool) -> None:
        own: Iterable[Tensor] = (*network.parameters(), *network.buffers())
        self._own = {_place(tensor) for tensor in own}
        self._kept: dict[int, Tensor] = {}
        self._keepers: dict[int, set[str]] = {}
        self._inputs: dict[str, int] = {}
        self._layer = ""
        self._operations = FlopCounterMode(display=False)
        self._repeat_layers = repeat_layers
        self._of_layers = 0
        self._open = ExitStack()
        self._handles = []
        for name, module in network.named_modules():
            if name.rpartition(".")[0] in ("encoder.layers", "decoder.layers"):
                self._handles += self._watch(name, module)
        self._hooks = saved_tensors_hooks(self._keep, lambda tensor: tensor)

    def _watch(self, name: str, module: nn.Module) -> list[Any]:
        def enter(_: nn.Module, arguments: tuple[Any, ...]) -> None:
            self._layer = name
            self._inputs[name] = _size(arguments[0])
            self._of_layers -= self._operations.get_total_flops()

        def leave(*_: Any) -> None:
            self._layer = ""
            self._of_layers += self._operations.get_total_flops()

        return [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]

    def __enter__(self) -> StepCounter:
        self._open.enter_context(self._hooks)
        self._open.enter_context(self._operations)
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.close()
        for handle in self._handles:
            handle.remove()

    def _keep(self, tensor: Tensor) -> Tensor:
        place = _place(tensor)
        if place not in self._own:
            # Kept alive, so that its place is not taken by another.
            self._kept[place] = tensor
            self._keepers.setdefault(place, set()).add(self._layer)
        return tensor

    def counts(self) -> Counts:
        """Bytes by place; what several layers keep is shared and belongs to none of them."""
        by_layer: dict[str, int] = {}
        rest = 0
        for place, tensor in self._kept.items():
            size = tensor.untyped_storage().nbytes()
            keeper = self._keepers[place]
            if len(keeper) == 1 and (name := next(iter(keeper))):
                by_layer[name] = by_layer.get(name, 0) + size
            else:
                rest += size
        # Of a product, backward computes two: the gradients of both factors.
        operations = 3 * self._operations.get_total_flops()
        return Counts(
            operations=operations + (self._of_layers if self._repeat_layers else 0),
            layers=sum(by_layer.values()),
            layer=max(by_layer.values(), default=0),
            inputs=sum(self._inputs.values()),
            rest=rest,
            largest=max((_size(t) for t in self._kept.values()), default=0),
        )


def _place(tensor: Tensor) -> int:
    # Tensors on the meta device have no address.
    return int(tensor.untyped_storage()._cdata)


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
