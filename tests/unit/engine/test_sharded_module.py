"""A fully sharded model in two processes gives what torch's DistributedDataParallel gives."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

pytest.importorskip("torch.distributed.fsdp", reason="this torch has no fully_shard")

from fairseq_compat.sharded_module import FullyShardedDataParallel


class Net(nn.Module):
    """Shared, frozen and odd-sized weights, two for one kind of batch only, and one for none."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 7)
        self.layers = nn.ModuleList(nn.Linear(7, 7) for _ in range(2))
        self.norm = nn.BatchNorm1d(7)
        self.norm.running_mean = torch.rand(7)
        self.picture = nn.Linear(3, 7)
        self.unused = nn.Linear(3, 3)
        self.frozen = nn.Linear(7, 7).requires_grad_(False)
        self.scale = nn.Parameter(torch.ones(1))
        self.out = nn.Linear(7, 11, bias=False)
        self.out.weight = self.embed.weight

    def train(self, mode: bool = True) -> Net:
        super().train(mode)
        self.norm.eval()  # a frozen one
        return self

    def forward(self, words: Tensor, picture: Tensor | None) -> Tensor:
        x = self.embed(words)
        x = x if picture is None else x + self.picture(picture)
        for layer in self.layers:
            x = x + layer(x).relu()
        return self.out(self.frozen(self.norm(x)) * self.scale)


def _network() -> Net:
    torch.manual_seed(0)
    return Net()


def _train(rank: int, model: nn.Module, updates: range, optimizer: torch.optim.Optimizer) -> None:
    """The first process alone sees a picture, in every other update."""
    for update in updates:
        random = torch.Generator().manual_seed(10 * update + rank)
        words = torch.randint(11, (5,), generator=random)
        picture = torch.randn(5, 3, generator=random) if update % 2 == rank == 0 else None
        optimizer.zero_grad()
        nn.functional.cross_entropy(model.train()(words, picture), words).backward()
        if isinstance(model, FullyShardedDataParallel):
            model.all_reduce_grads()
        optimizer.step()


def _adam(model: nn.Module) -> torch.optim.Optimizer:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(trained, lr=0.01, weight_decay=0.1)


def _sharded() -> FullyShardedDataParallel:
    network = _network()
    return FullyShardedDataParallel(network, dist.group.WORLD, network.layers)


def _compare(rank: int, folder: Path) -> None:
    dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=2)
    plain = DistributedDataParallel(_network(), find_unused_parameters=True)
    plain_adam = _adam(plain)
    _train(rank, plain, range(4), plain_adam)

    first = _sharded()
    first_adam = _adam(first)
    _train(rank, first, range(2), first_adam)
    saved = [first.state_dict(), first.gather_full_optim_state_dict(first_adam)]
    dist.broadcast_object_list(saved)
    second = _sharded()
    second.load_state_dict(saved[0])
    second_adam = _adam(second)
    second_adam.load_state_dict(second.get_shard_from_optim_state_dict(saved[1]))
    _train(rank, second, range(2, 4), second_adam)

    words = torch.arange(6 + rank)
    for _ in range(1 + rank):  # no process waits for another in evaluation
        torch.testing.assert_close(second.eval()(words, None), plain.module.eval()(words, None))
    weights, state = second.state_dict(), second.gather_full_optim_state_dict(second_adam)
    if rank == 0:
        torch.testing.assert_close(weights, dict(plain.module.state_dict()))
        torch.testing.assert_close(state, plain_adam.state_dict())
        assert weights["out.weight"] is weights["embed.weight"]
    else:
        assert weights == {} and state is None
    held = sum(local.numel() for local in second.parameters())
    assert held < 0.6 * sum(weight.numel() for weight in plain.parameters())
    dist.destroy_process_group()


def test_updates_and_states_are_those_of_plain_training(tmp_path: Path) -> None:
    """Every process holds about half, and reads and writes states of the whole."""
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_compare, args=(rank, tmp_path)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
