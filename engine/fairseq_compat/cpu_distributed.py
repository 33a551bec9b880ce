"""Several processes without a GPU: fairseq counts devices, asks for nccl and allocates on CUDA."""

from __future__ import annotations

import ast
from typing import Any

from fairseq_compat.patch import Patch, prepend, swap

_MANY = 1 << 12


def device_count() -> int:
    """Number of GPUs; on a machine without any, more than any number of workers asked for."""
    import torch

    return torch.cuda.device_count() or _MANY


def _on_gpu() -> bool:
    import torch

    return torch.cuda.is_available() and torch.distributed.get_backend() == "nccl"


def communication_buffer(size: int) -> Any:
    """(size,) uint8 on the device that the collectives use."""
    import torch

    return torch.zeros(size, dtype=torch.uint8, device="cuda" if _on_gpu() else "cpu")


def host_buffer(size: int) -> Any:
    """(size,) uint8 in memory, pinned when it is copied to a GPU."""
    import torch

    return torch.zeros(size, dtype=torch.uint8, pin_memory=_on_gpu())


def backend(config: Any) -> str:
    """The chosen backend, except that nccl, the default, becomes gloo on CPU."""
    import torch

    chosen: str = config.distributed_training.distributed_backend
    if chosen == "nccl" and (config.common.cpu or not torch.cuda.is_available()):
        return "gloo"
    return chosen


def _edit(tree: ast.Module) -> None:
    # Not in the Slurm inference: there the count decides the number of processes per node.
    for function in ("infer_init_method", "_infer_single_node_init", "call_main"):
        swap(tree, {"torch.cuda.device_count()": "_cpu.device_count()"}, inside=function)
    swap(
        tree,
        {
            "torch.cuda.ByteTensor(buffer_size)": "_cpu.communication_buffer(buffer_size)",
            "torch.ByteTensor(max_size).pin_memory()": "_cpu.host_buffer(max_size)",
        },
        inside="all_gather_list",
    )
    swap(
        tree,
        {"cfg.distributed_training.distributed_backend": "_cpu.backend(cfg)"},
        inside="distributed_init",
    )
    prepend(tree, "from fairseq_compat import cpu_distributed as _cpu")


PATCHES = (
    Patch(
        name="cpu-distributed",
        module="fairseq.distributed.utils",
        reason="--distributed-world-size 2 without a GPU: an assertion, or no process and exit 0",
        edit=_edit,
    ),
)
