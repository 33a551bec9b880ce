"""Contents of checkpoints as JSON and tensors: nothing is lost, nothing else gets in."""

import json
import math
from argparse import Namespace
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from biomedgpt_fairseq.checkpoint_tools.plain import equal, from_plain, to_plain


def there_and_back(value):
    content, tensors = to_plain(value)
    return from_plain(json.loads(json.dumps(content, allow_nan=False)), tensors)


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, "x"], "b": (1, (2,)), "c": {}},
        {0: {"step": 3}, 1: []},
        {"$tensor": "not one", "$x": 1},
        {"loss": math.inf, "other": -math.inf},
        OrderedDict(metrics=[(10, "loss", "AverageMeter", {"val": np.float64(0.1)})]),
        {"n": np.int64(-3), "f": np.float32(0.1), "b": np.bool_(True)},
        Namespace(arch="ofa_tiny", lr=[0.1], data=None, betas=(0.9, 0.999)),
    ],
)
def test_containers_and_numbers_come_back(value):
    back = there_and_back(value)
    assert equal(back, value)
    assert isinstance(back, dict) == isinstance(value, dict)


def test_nan_comes_back():
    assert math.isnan(there_and_back([math.nan])[0])


def test_kinds_of_numbers_and_tuples_come_back():
    back = there_and_back({"n": np.float32(0.1), "t": (0.9, 0.999)})
    assert type(back["n"]) is np.float32 and back["t"] == (0.9, 0.999)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_tensors_come_back_bit_for_bit(dtype):
    value = {"w": torch.randn(3, 4).to(dtype).t(), "empty": torch.zeros(0, dtype=dtype)}
    assert equal(there_and_back(value), value)


def test_shared_tensor_is_stored_once_and_shared_again():
    table = torch.randn(5, 2)
    content, tensors = to_plain({"model": {"encoder": table, "decoder": table, "t": table.t()}})
    assert list(tensors) == ["model.encoder", "model.t"]
    model = from_plain(content, tensors)["model"]
    assert model["decoder"] is model["encoder"]


def test_config_becomes_plain():
    config = OmegaConf.create({"task": {"seed": 3}, "model": {"seed": "${task.seed}"}})
    assert there_and_back({"cfg": config})["cfg"] == {
        "task": {"seed": 3},
        "model": {"seed": "${task.seed}"},
    }


def test_other_objects_are_refused_by_place_and_kind():
    with pytest.raises(ValueError, match=r"extra_state\.0: cannot store a builtins\.object"):
        to_plain({"extra_state": [object()]})


def test_two_tensors_of_one_place_are_refused():
    with pytest.raises(ValueError, match=r"two tensors would be called a\.b"):
        to_plain({"a": {"b": torch.ones(1)}, "a.b": torch.zeros(1)})


@pytest.mark.parametrize(
    "content",
    [
        {"$tensor": "absent"},
        {"$tensor": ["a"]},
        {"$tuple": 3},
        {"$items": [[[1], 2]]},
        {"$items": [1]},
        {"$namespace": [1]},
        {"$numpy": ["object", 1]},
        {"$numpy": ["no such type", 1]},
        {"$float": "one"},
        {"$call": "os.system"},
        {"$float": "nan", "x": 1},
    ],
)
def test_malformed_content_is_refused(content):
    with pytest.raises(ValueError):
        from_plain(content, {"a": torch.ones(1)})


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
KEYS = st.text(max_size=5) | st.integers()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_any_plain_value_comes_back(value):
    assert equal(there_and_back(value), value)


def test_equal_tells_bits_kinds_and_places_apart():
    one = {"w": torch.tensor([0.0])}
    assert not equal(one, {"w": torch.tensor([-0.0])})
    assert not equal(one, {"w": torch.tensor([0.0], dtype=torch.float64)})
    assert not equal(one, {"v": torch.tensor([0.0])})
    assert not equal([1, 2], [1])
    assert equal({"w": torch.tensor([math.nan])}, {"w": torch.tensor([math.nan])})
