"""Memory of each GPU and time of a training run, from counts and the figures of a device."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch

from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.planning.step import Group
from biomedgpt_fairseq.planning.trace import (
    Counts,
    GroupCounts,
    build_on_meta,
    count_groups,
    count_parameters,
)

Precision = Literal["fp32", "fp16", "bf16"]
DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}
USABLE = 0.9
"""Share of a device's memory that a plan may fill: the driver and gaps between pieces need some."""
DEFAULT_SHARE = 0.3
"""Of the device's peak rate, that a training step reaches."""
_LOGITS_AT_A_TIME = 2**24  # as losses/token_losses.py has it
_LOGITS_BYTES = 3 * 4  # in float32: themselves, their softmax, a gradient
_MOST_ROWS = 2**20


class Device(NamedTuple):
    """memory in bytes; operations per second in float32 and in half precision, as the data sheets
    have them for dense matrices."""

    memory: float
    single: float
    half: float

    def rate(self, precision: Precision) -> float:
        return self.single if precision == "fp32" else self.half


def _sheet(gib: float, single: float, half: float) -> Device:
    return Device(gib * 2**30, single * 1e12, half * 1e12)


DEVICES: dict[str, Device] = {
    "t4": _sheet(16, 8.1, 65),
    "v100": _sheet(32, 15.7, 125),
    "a100-40": _sheet(40, 19.5, 312),
    "a100-80": _sheet(80, 19.5, 312),
    "l4": _sheet(24, 30.3, 121),
    "l40s": _sheet(48, 91.6, 362),
    "rtx-3090": _sheet(24, 35.6, 71),
    "rtx-4090": _sheet(24, 82.6, 165),
    "h100": _sheet(80, 67, 989),
    "h200": _sheet(141, 67, 989),
}


@dataclass(frozen=True)
class Run:
    """How a network is trained.  groups: of one GPU's batch, `rows` rows of the training file."""

    config: ModelConfig
    groups: Sequence[Group]
    rows: int
    gpus: int = 1
    update_freq: int = 1
    precision: Precision = "fp32"
    shard_optimizer: bool = False
    fused_attention: bool = True
    """Whether attention is that of GPUs, which wants its bias in full."""

    @property
    def rows_per_update(self) -> int:
        return self.rows * self.gpus * self.update_freq

    def with_rows(self, rows: int) -> Run:
        """The same with so many rows for each GPU."""
        groups = [group.of(-(-group.examples * rows // self.rows)) for group in self.groups]
        return replace(self, groups=groups, rows=rows)


@dataclass(frozen=True)
class Memory:
    """Bytes of each GPU.

    passing: gradients of activations on their way.  logits: of the loss, a piece at a time.
    """

    weights: float
    gradients: float
    optimizer: float
    activations: float
    passing: float
    logits: float

    @property
    def total(self) -> float:
        fixed = self.weights + self.gradients + self.optimizer
        return fixed + self.activations + self.passing + self.logits


@dataclass(frozen=True)
class Plan:
    """parameters, and counts of the run's groups."""

    run: Run
    parameters: int
    counts: Sequence[GroupCounts]

    @property
    def operations(self) -> int:
        """Of one GPU's update."""
        return self.run.update_freq * sum(c.operations for c in _of_run(self.run, self.counts))

    @property
    def memory(self) -> Memory:
        return _memory(self.run, self.parameters, _of_run(self.run, self.counts))

    def seconds_per_update(self, rate: float, share: float = DEFAULT_SHARE) -> float:
        """rate: operations per second of the device, of which a step reaches a share."""
        return self.operations / (rate * share)

    def largest_batch(self, memory: float) -> int:
        """Rows of a GPU's batch that fill the usable memory, 0 if not even one fits."""

        def total(rows: int) -> float:
            return replace(self, run=self.run.with_rows(rows)).memory.total

        return bisect_right(range(1, _MOST_ROWS), memory * USABLE, key=total)


def make_plan(run: Run) -> Plan:
    """Count a step of a run."""
    dtype = DTYPES[run.precision]
    parameters = count_parameters(build_on_meta(run.config, dtype))
    return Plan(run, parameters, count_groups(run.config, run.groups, dtype))


def _of_run(run: Run, counts: Sequence[GroupCounts]) -> list[Counts]:
    return [c.of(group.examples) for c, group in zip(counts, run.groups, strict=True)]


def _memory(run: Run, parameters: int, counts: Sequence[Counts]) -> Memory:
    width = DTYPES[run.precision].itemsize
    # Two running means in float32; in half precision also fairseq's float32 weights and gradients.
    optimizer = parameters * (8 if run.precision == "fp32" else 16)
    if run.shard_optimizer:
        optimizer //= run.gpus
    # Several GPUs exchange gradients through pieces of memory as large as these.
    gradients = parameters * width * (1 if run.gpus == 1 else 2)
    tokens = max(group.examples * group.target for group in run.groups)
    return Memory(
        weights=parameters * width,
        gradients=gradients,
        optimizer=optimizer,
        activations=sum(map(lambda g, c: _activations(run, g, c), run.groups, counts)),
        passing=2 * max(c.largest for c in counts),
        logits=_LOGITS_BYTES * min(tokens * run.config.vocab_size, _LOGITS_AT_A_TIME),
    )


def _activations(run: Run, group: Group, counts: Counts) -> float:
    bias = _fused_bytes(run, group) if run.fused_attention else 0
    if not run.config.checkpoint_activations:
        return counts.rest + counts.layers + bias
    layers = run.config.encoder_layers + run.config.decoder_layers
    return counts.rest + counts.inputs + counts.layer + bias / layers


def _fused_bytes(run: Run, group: Group) -> float:
    """What fused attention keeps, and that of a CPU, which was counted, does not: the bias
    B x H x S x S of each layer, and the result once more before the factor of each head.

    B examples, S encoder positions, T target tokens, H heads, D width of the network.
    """
    config = run.config
    width = DTYPES[run.precision].itemsize
    encoder = config.heads * group.positions**2 + group.positions * config.dim
    decoder = 2 * group.target * config.dim
    decoder += config.heads * group.target**2 if group.codes else 0
    elements = config.encoder_layers * encoder + config.decoder_layers * decoder
    return width * group.examples * elements
