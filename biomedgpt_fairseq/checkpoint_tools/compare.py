"""Differences, averages and broken numbers of state dicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class StateDifferences:
    """How two state dicts differ; all empty when they are equal bit for bit."""

    only_first: list[str] = field(default_factory=list)
    only_second: list[str] = field(default_factory=list)
    reformed: list[str] = field(default_factory=list)
    """Names whose shape or dtype differs, with both."""
    largest: list[tuple[str, float]] = field(default_factory=list)
    """Names whose numbers differ with the largest absolute difference, the largest first; NaN in
    one of the two counts as infinite."""

    def __bool__(self) -> bool:
        return bool(self.only_first or self.only_second or self.reformed or self.largest)


def compare(first: State, second: State) -> StateDifferences:
    """Compare by name."""
    reformed, largest = [], []
    for name in (name for name in first if name in second):
        left, right = first[name], second[name]
        if left.shape != right.shape or left.dtype != right.dtype:
            reformed.append(f"{name}: {_form(left)}, {_form(right)}")
        elif not torch.equal(left, right):
            difference = _largest_difference(left, right)
            if difference:
                largest.append((name, difference))
    return StateDifferences(
        [name for name in first if name not in second],
        [name for name in second if name not in first],
        reformed,
        sorted(largest, key=lambda pair: -pair[1]),
    )


def _form(value: Tensor) -> str:
    return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"


def _largest_difference(left: Tensor, right: Tensor) -> float:
    both_nan = left.isnan() & right.isnan()
    difference = (left.double() - right.double()).abs()
    difference = difference.masked_fill(both_nan | left.eq(right), 0.0).nan_to_num(nan=math.inf)
    return float(difference.max())


def average(states: Iterable[tuple[str, State]]) -> dict[str, Tensor]:
    """Uniform mean of state dicts, given with the names of their files and read one at a time.

    Floating-point tensors are summed in float64 and keep their dtype; counters and other integers
    are those of the last.  Tensors that are one in the last stay one.
    Raises ValueError for names, shapes or dtypes that differ, and for no state at all.
    """
    sums: dict[str, Tensor] = {}
    last: State = {}
    count, first_path = 0, ""
    for path, state in states:
        if count:
            _require_same_form(first_path, last, path, state)
        else:
            first_path = path
        for name, value in state.items():
            if value.is_floating_point():
                wide = value.double()
                sums[name] = sums[name].add_(wide) if name in sums else wide.clone()
        last, count = state, count + 1
    if not count:
        raise ValueError("no checkpoint to average")
    shared: dict[tuple[int, tuple[int, ...]], Tensor] = {}
    result = {}
    for name, value in last.items():
        if not value.is_floating_point():
            result[name] = value
            continue
        at = (value.data_ptr(), tuple(value.shape))
        if at not in shared or not value.numel():
            shared[at] = (sums[name] / count).to(value.dtype)
        result[name] = shared[at]
    return result


def _require_same_form(first_path: str, first: State, path: str, state: State) -> None:
    names = [*(n for n in first if n not in state), *(n for n in state if n not in first)]
    if names:
        raise ValueError(f"{first_path} and {path} do not have the same weights: {names[0]}")
    for name, value in first.items():
        if _form(value) != _form(state[name]):
            raise ValueError(
                f"{name} is {_form(value)} in {first_path} and {_form(state[name])} in {path}"
            )


def broken_numbers(state: State) -> Iterator[str]:
    """Names of tensors that hold NaN or infinity, with how many."""
    for name, value in state.items():
        if value.is_floating_point():
            count = int((~value.isfinite()).sum())
            if count:
                yield f"{name}: {count} of {value.numel()} numbers are NaN or infinite"


def totals(state: State) -> tuple[int, dict[str, int]]:
    """Number of parameters, a shared tensor once, and of tensors by dtype."""
    seen: set[tuple[int, tuple[int, ...]]] = set()
    count = 0
    dtypes: dict[str, int] = {}
    for value in state.values():
        kind = str(value.dtype).removeprefix("torch.")
        dtypes[kind] = dtypes.get(kind, 0) + 1
        at = (value.data_ptr(), tuple(value.shape))
        if value.is_floating_point() and (at not in seen or not value.numel()):
            seen.add(at)
            count += value.numel()
    return count, dtypes
