"""Which part of the work is this worker's: shard I of N, by options or by the launcher."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

# Launchers that say rank and size.  (rank, size); the first pair that is there counts.
_LAUNCHERS = (
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"),
    ("RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
)


@dataclass(frozen=True)
class Shard:
    """Part `index`, from 0, of `count`."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(
                f"expected a shard from 0 to {self.count - 1} (--shards {self.count}), found "
                f"{self.index}; an array of jobs counts from 0, and where only some of its tasks "
                "run, --shards says how many there are in all"
            )

    def takes(self, number: int) -> bool:
        """Whether file or item `number` is in this shard; each is in exactly one."""
        return number % self.count == self.index

    def name(self, stem: str, suffix: str) -> str:
        """File name of this shard: stem.suffix, or stem-00002-of-00016.suffix."""
        part = "" if self.count == 1 else f"-{self.index:05d}-of-{self.count:05d}"
        return f"{stem}{part}.{suffix}"


def add_shard_arguments(parser: argparse.ArgumentParser) -> None:
    """--shards and --shard."""
    parser.add_argument(
        "--shards",
        type=int,
        help="number of parts that workers write (default: what the launcher says, else 1)",
    )
    parser.add_argument(
        "--shard",
        type=int,
        help="the part to write, from 0 (default: the rank that the launcher says)",
    )


def choose_shard(index: int | None, count: int | None, environment: Mapping[str, str]) -> Shard:
    """The shard of the options; what they leave open is said by the launcher's variables.

    Raises ValueError when only one of the two is known.
    """
    for rank_name, size_name in _LAUNCHERS:
        if index is None and rank_name in environment and size_name in environment:
            index = _number(environment, rank_name)
            count = _number(environment, size_name) if count is None else count
    if (index is None) != (count is None) and count != 1:
        raise ValueError("give --shards and --shard together, or start under a launcher")
    return Shard(index or 0, 1 if count is None else count)


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment[name]
    if not text.isdigit():
        raise ValueError(f"expected a number in the variable {name}, found {text!r}")
    return int(text)
