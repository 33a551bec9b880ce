"""Real training steps on this machine, to compare a plan with."""

from __future__ import annotations

import os
import resource
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from biomedgpt_fairseq.data.memory import keep_freed_memory
from biomedgpt_fairseq.models.transformer import build_transformer
from biomedgpt_fairseq.planning.plan import DTYPES, Device, Precision, Run
from biomedgpt_fairseq.planning.step import group_loss


@dataclass(frozen=True)
class Measured:
    """Peak of the memory in bytes, without that of the program itself; seconds of an update."""

    memory: float
    seconds: float


def this_device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def describe_here(precision: Precision) -> Device:
    """Memory of this machine's device, and the rate of a product of matrices on it."""
    rate = product_rate(DTYPES[precision])
    if this_device().type == "cuda":
        return Device(torch.cuda.get_device_properties(0).total_memory, rate, rate)
    return Device(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), rate, rate)


def product_rate(dtype: torch.dtype) -> float:
    """Operations per second, best of ten products of square matrices."""
    device = this_device()
    side = 1024 if device.type == "cpu" else 8192
    a, b = torch.ones(2, side, side, device=device, dtype=dtype)
    seconds = []
    for _ in range(10):
        start = _clock()
        a @ b
        seconds.append(_clock() - start)
    return 2 * side**3 / min(seconds)


def measure(run: Run, steps: int) -> Measured:
    """Median time of so many steps behind a first one, and their peak of memory."""
    device, dtype = this_device(), DTYPES[run.precision]
    if device.type == "cpu":
        keep_freed_memory()
    else:
        torch.cuda.reset_peak_memory_stats()
    before = _memory_now()
    network = build_transformer(run.config).to(device, dtype).train()
    trained = [p for p in network.parameters() if p.requires_grad]
    # As fairseq does: half precision has weights and gradients in float32 beside it.
    copies = trained if dtype == torch.float32 else [nn.Parameter(p.float()) for p in trained]
    optimizer = torch.optim.AdamW(copies, lr=1e-5, fused=True)
    seconds = []
    for _ in range(steps + 1):
        start = _clock()
        for _ in range(run.update_freq):
            losses = [
                group_loss(network, group, run.config.vocab_size, device, dtype)
                for group in run.groups
            ]
            torch.autograd.backward(losses)
            del losses
        if copies is not trained:
            for copy, parameter in zip(copies, trained, strict=True):
                copy.grad = None if parameter.grad is None else parameter.grad.float()
        nn.utils.clip_grad_norm_(copies, 1.0)
        optimizer.step()
        if copies is not trained:
            with torch.no_grad():
                for copy, parameter in zip(copies, trained, strict=True):
                    parameter.copy_(copy)
        network.zero_grad()
        seconds.append(_clock() - start)
    return Measured(_peak() - before, statistics.median(seconds[1:]))


def _clock() -> float:
    """Seconds; on a CPU those of its cores, which other work does not stretch."""
    if this_device().type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() / torch.get_num_threads()


def _memory_now() -> float:
    if this_device().type == "cuda":
        return float(torch.cuda.memory_allocated())
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def _peak() -> float:
    if this_device().type == "cuda":
        return float(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
