"""The fairseq side of torch's `fully_shard`: what the trainer asks of a fully sharded model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, cast

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

State = dict[str, Any]


class FullyShardedDataParallel(nn.Module):
    """A model whose weights, gradients and optimizer state are shared by the processes of a group.

    Each process holds a part of every weight, and all of a layer's while the layer computes.  In
    evaluation it holds all weights: how often a decoder runs differs between processes.
    layers: modules of the model whose weights are gathered together; the rest is together, too.
    """

    use_sharded_state = False

    def __init__(
        self,
        module: nn.Module,
        group: torch.distributed.ProcessGroup,
        layers: Iterable[nn.Module],
        reshard_after_forward: bool = True,
    ) -> None:
        super().__init__()
        self.module, self.group, self.reshards = module, group, reshard_after_forward
        first = torch.distributed.get_global_rank(group, 0)
        for tensor in chain(module.parameters(), module.buffers()):
            torch.distributed.broadcast(tensor.data, first, group)
        mesh = DeviceMesh.from_group(group, next(module.parameters()).device.type)
        for part in (*(layer for layer in layers if layer is not module), module):
            fully_shard(part, mesh=mesh)
        # Each process must send the same gradients, also those of weights that its batch left out.
        cast(FSDPModule, module).set_reduce_scatter_unused_params(True)
        weights = cast(Iterator[DTensor], module.parameters())
        self.shards = [(weight, _local(weight)) for weight in weights]
        self.used: set[int] = set()
        for part in module.modules():
            part.register_load_state_dict_pre_hook(_shard_entries)  # type: ignore[no-untyped-call]
        self._gather(True)
        for number, parameter in enumerate(module.parameters()):
            if parameter.requires_grad:
                use = partial(self._use, number)
                parameter.register_post_accumulate_grad_hook(use)  # type: ignore[no-untyped-call]
        self._gather(False)

    def __getattr__(self, name: str) -> Any:
        """Missing attributes are those of the model."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        return self.module(*inputs, **named)

    def train(self, mode: bool = True) -> FullyShardedDataParallel:
        super().train(mode)
        if mode == self.gathered:
            self._gather(not mode)
        return self

    def _gather(self, gathered: bool) -> None:
        """Hold all weights from now on, or a part of each."""
        self.gathered = gathered
        parts = [part for part in self.module.modules() if isinstance(part, FSDPModule)]
        for part in parts:
            # The rest of the model is needed again at once, by the loss and the backward pass.
            reshards = self.reshards and part is not self.module and not gathered
            part.set_reshard_after_forward(reshards, recurse=False)
            if gathered:
                part.unshard()
            else:
                part.reshard()

    def _use(self, number: int, _: Tensor) -> None:
        self.used.add(number)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """This process' part of each weight, in the order of the model's; some may be empty."""
        return (local for _, local in self.shards)

    def all_reduce_grads(self) -> None:
        """Give the parts their gradients, which backward has summed, as DDP does: none to weights
        that were not used by any process."""
        used = torch.zeros(len(self.shards), device=self.shards[0][1].device)
        used[sorted(self.used)] = 1
        torch.distributed.all_reduce(used, torch.distributed.ReduceOp.MAX, self.group)
        self.used.clear()
        for (whole, local), is_used in zip(self.shards, used.tolist(), strict=True):
            local.grad = cast(DTensor, whole.grad).to_local() if is_used else None
            whole.grad = None

    def state_dict(self, *_: Any, **__: Any) -> State:  # type: ignore[override]
        """That of the model, whole, in the first process; empty in the others."""
        seen: dict[int, Tensor] = {}
        state = self.module.state_dict(keep_vars=True)
        for name, value in state.items():
            if id(value) not in seen:  # shared weights stay shared in the file
                seen[id(value)] = self._whole(value.detach())
            state[name] = seen[id(value)]
        return state if torch.distributed.get_rank(self.group) == 0 else {}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False, **more: Any
    ) -> Any:
        """Load a whole state, which all processes have."""
        return self.module.load_state_dict(state_dict, strict, **more)

    def gather_full_optim_state_dict(self, optimizer: Any) -> State | None:
        """State of the optimizer as it is without sharding, in the first process."""
        state: State = optimizer.state_dict()
        trained = [shard for shard in self.shards if shard[1].requires_grad]
        whole = {
            number: {name: self._whole(value, trained[number]) for name, value in values.items()}
            for number, values in state["state"].items()
        }
        return state | {"state": whole} if torch.distributed.get_rank(self.group) == 0 else None

    def get_shard_from_optim_state_dict(self, state: State) -> State:
        """This process' part of a state as it is without sharding."""
        trained = [whole for whole, local in self.shards if local.requires_grad]
        part = {
            number: {name: _part(value, trained[number]) for name, value in values.items()}
            for number, values in state["state"].items()
        }
        return state | {"state": part}

    def _whole(self, value: Any, like: tuple[DTensor, Tensor] | None = None) -> Any:
        """A sharded value in whole on the CPU, in the first process; others as they are.

        like: a weight, and its part with whose shape the value is known to be sharded as it is.
        """
        if like is not None and torch.is_tensor(value) and value.dim():
            weight = like[0]
            value = DTensor.from_local(
                value,
                weight.device_mesh,
                weight.placements,
                shape=weight.shape,
                stride=weight.stride(),
            )
        if not isinstance(value, DTensor):
            return value
        whole = value.full_tensor()
        return whole.cpu() if torch.distributed.get_rank(self.group) == 0 else whole.new_empty(0)


def _local(weight: DTensor) -> nn.Parameter:
    """This process' part of a weight, in the same memory."""
    return nn.Parameter(cast(DTensor, weight.detach()).to_local(), weight.requires_grad)


def _distributed(value: Tensor, like: DTensor) -> DTensor:
    """All processes have the value: none sends it."""
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)


def _part(value: Any, weight: DTensor) -> Any:
    if torch.is_tensor(value) and value.dim():
        return _distributed(value, weight).to_local()
    return value


def _shard_entries(module: nn.Module, state: State, prefix: str, *_: Any) -> None:
    """Before a module loads its weights: cut them as its own are."""
    for name, weight in module._parameters.items():
        value = state.get(prefix + name)
        if isinstance(weight, DTensor) and torch.is_tensor(value) and type(value) is not DTensor:
            state[prefix + name] = _distributed(value, weight)
