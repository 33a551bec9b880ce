"""Differences, means and broken numbers of weights."""

import math

import pytest
import torch

from biomedgpt_fairseq.checkpoint_tools.compare import average, broken_numbers, compare, totals


def test_equal_states_have_no_differences():
    state = {"w": torch.tensor([1.0, math.nan]), "n": torch.tensor(3)}
    assert not compare(state, {name: value.clone() for name, value in state.items()})


def test_differences_are_listed_by_kind():
    first = {"a": torch.zeros(2), "b": torch.zeros(2), "c": torch.zeros(2), "d": torch.zeros(2)}
    second = {"b": torch.tensor([0.0, -3.0]), "c": torch.zeros(3), "d": torch.tensor([0.5, 0.0])}
    second["e"] = torch.zeros(1)
    found = compare(first, second)
    assert found
    assert (found.only_first, found.only_second) == (["a"], ["e"])
    assert found.reformed == ["c: (2,) float32, (3,) float32"]
    assert found.largest == [("b", 3.0), ("d", 0.5)]


def test_nan_in_one_state_is_an_infinite_difference():
    found = compare({"a": torch.tensor([math.nan])}, {"a": torch.tensor([1.0])})
    assert found.largest == [("a", math.inf)]


def test_mean_is_uniform_over_all_files():
    states = [(str(i), {"w": torch.tensor([float(i), 1.0])}) for i in (1, 2, 6)]
    assert average(states)["w"].tolist() == [3.0, 1.0]


def test_mean_of_half_precision_is_rounded_once():
    values = [torch.tensor([v], dtype=torch.float16) for v in (2048.0, 1.0, 1.0)]
    mean = average((str(i), {"w": value}) for i, value in enumerate(values))["w"]
    assert mean.dtype == torch.float16
    assert mean.item() == torch.tensor(2050 / 3, dtype=torch.float64).half().item()


def test_counters_are_those_of_the_last_file_and_shared_tensors_stay_shared():
    table = torch.ones(2)
    last = {"a": table, "b": table, "n": torch.tensor(7)}
    mean = average([("x", {"a": torch.zeros(2), "b": torch.zeros(2), "n": torch.tensor(5)}),
                    ("y", last)])  # fmt: skip
    assert mean["n"] == 7 and mean["a"] is mean["b"] and mean["a"].tolist() == [0.5, 0.5]
    assert table.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({}, "x and y do not have the same weights: w"),
        ({"w": torch.zeros(2), "v": torch.zeros(1)}, "do not have the same weights: v"),
        ({"w": torch.zeros(3)}, r"w is \(2,\) float32 in x and \(3,\) float32 in y"),
        ({"w": torch.zeros(2).half()}, "float16 in y"),
    ],
)
def test_files_of_other_networks_are_not_averaged(other, message):
    with pytest.raises(ValueError, match=message):
        average([("x", {"w": torch.zeros(2)}), ("y", other)])


def test_no_file_has_no_mean():
    with pytest.raises(ValueError, match="no checkpoint"):
        average([])


def test_broken_numbers_are_counted():
    state = {"w": torch.tensor([1.0, math.nan, math.inf]), "n": torch.tensor(1), "v": torch.ones(1)}
    assert list(broken_numbers(state)) == ["w: 2 of 3 numbers are NaN or infinite"]


def test_shared_parameters_count_once():
    table = torch.ones(3, 2)
    state = {"a": table, "b": table, "h": torch.ones(1).half(), "n": torch.tensor(4)}
    assert totals(state) == (7, {"float32": 2, "float16": 1, "int64": 1})
