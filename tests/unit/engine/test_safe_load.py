"""The safe loader: what it reads, what it refuses, and that refusing runs nothing."""

import argparse
import base64
import collections
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
import torch
from fairseq_compat.safe_globals import resolve
from fairseq_compat.safe_load import TRUST_SWITCH, UnsafeCheckpointError, load
from omegaconf import OmegaConf

# pickle.dumps(c, 2) by omegaconf 2.0.6, where c = OmegaConf.create({"task": {"_name": "vqa_gen",
# "beam": 5, "lr": [0.1], "flag": True, "none": None}, "arch": "ofa_tiny"}) with the struct flag.
OMEGACONF_2_0 = Path(__file__).with_name("omegaconf-2.0.6.pickle.b64")


def stored(value: Any, **options: Any) -> io.BytesIO:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    buffer.seek(0)
    return buffer


class RunsCommand:
    """Pickles as a call of os.system."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


class RunsEval:
    """Pickles as a call of eval."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return eval, (f"open({str(self.marker)!r}, 'w').close()",)


@pytest.mark.parametrize(
    "value",
    [
        {"model": {"a": torch.ones(2)}, "n": 1, "x": [1.5, None, True, "s", b"b"], "t": (1, {2})},
        argparse.Namespace(arch="ofa_tiny", lr=[0.1], data=None),
        collections.OrderedDict(a=1),
        np.float64(1.5),
        np.float32(0.5),
        np.int64(-3),
        np.bool_(True),
        {"val_loss": np.float64(2.0), "best": np.float16(1)},
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_checkpoints_come_back(value):
    back = load(stored(value))
    assert type(back) is type(value)
    assert str(back) == str(value)


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.uint8, np.bool_])
def test_numpy_arrays_come_back(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    np.testing.assert_array_equal(load(stored(array)), array)


def test_defaultdict_comes_back_as_a_plain_dict():
    back = load(stored(collections.defaultdict(list, {1: [2]})))
    assert type(back) is dict and back == {1: [2]}


def test_omegaconf_comes_back_with_flags_and_references():
    config = OmegaConf.create({"a": 1, "b": {"c": [1, 2.5, "x", None, True]}, "i": "${a}"})
    OmegaConf.set_struct(config, True)
    back = load(stored(config))
    assert back == config and OmegaConf.is_struct(back) and back.i == 1


def test_structured_config_metadata_comes_back():
    config = OmegaConf.create({"a": None})
    number = Optional[int]  # noqa: UP045 - the form that omegaconf stores
    config._metadata.element_type = number
    assert load(stored(config))._metadata.element_type == number


def test_omegaconf_of_release_2_0_is_read():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:  # a file of torch.save without tensors
        archive.writestr("archive/data.pkl", base64.b64decode(OMEGACONF_2_0.read_text()))
        archive.writestr("archive/version", "3\n")
    data.seek(0)
    config = load(data)
    assert OmegaConf.to_container(config) == {
        "task": {"_name": "vqa_gen", "beam": 5, "lr": [0.1], "flag": True, "none": None},
        "arch": "ofa_tiny",
    }


def test_file_format_before_torch_1_6_is_read():
    old = stored({"args": argparse.Namespace(a=1)}, _use_new_zipfile_serialization=False)
    assert load(old) == {"args": argparse.Namespace(a=1)}


def test_path_and_mmap(tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"a": torch.arange(3)}, path)
    assert load(path, map_location="cpu", mmap=True)["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("evil", [RunsCommand, RunsEval])
@pytest.mark.parametrize("zip_format", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_code_is_refused_and_not_run(tmp_path, monkeypatch, evil, zip_format, nested):
    monkeypatch.delenv(TRUST_SWITCH, raising=False)
    value = evil(tmp_path / "run")
    value = {"model": {"w": torch.ones(1)}, "extra_state": [value]} if nested else value
    file = stored(value, _use_new_zipfile_serialization=zip_format)
    with pytest.raises(UnsafeCheckpointError):
        load(file)
    assert not (tmp_path / "run").exists()


def test_refusal_names_file_globals_and_switch(tmp_path, monkeypatch):
    monkeypatch.delenv(TRUST_SWITCH, raising=False)
    path = tmp_path / "evil.pt"
    torch.save([RunsCommand(tmp_path / "run"), RunsEval(tmp_path / "run")], path)
    with pytest.raises(UnsafeCheckpointError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message and TRUST_SWITCH + "=1" in message
    assert "builtins.eval" in message and "posix.system" in message


@pytest.mark.parametrize("switch", ["", "0", "true"])
def test_only_1_opens_the_switch(tmp_path, monkeypatch, switch):
    monkeypatch.setenv(TRUST_SWITCH, switch)
    with pytest.raises(UnsafeCheckpointError):
        load(stored(RunsCommand(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


def test_switch_loads_with_a_warning(tmp_path, monkeypatch):
    monkeypatch.setenv(TRUST_SWITCH, "1")
    with pytest.warns(UserWarning, match="running code from a checkpoint"):
        load(stored(RunsEval(tmp_path / "run")))
    assert (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("callable_", "arguments"),
    [(type, ("X", (), {})), (type, (1,))],
)
def test_type_serves_for_none_only(callable_, arguments):
    class Calls:
        def __reduce__(self) -> Any:
            return callable_, arguments

    with pytest.raises(ValueError, match="type of None only|not known to be harmless"):
        load(stored(Calls()))


def test_getitem_serves_for_typing_only():
    import operator

    class Calls:
        def __reduce__(self) -> Any:
            return operator.getitem, ({"a": 1}, "a")

    with pytest.raises(ValueError, match="typing's names only"):
        load(stored(Calls()))


def test_object_arrays_are_refused():
    with pytest.raises(UnsafeCheckpointError):
        load(stored(np.array([{"a": 1}], dtype=object)))


def test_resolve_splits_allowed_from_refused():
    pairs, refused = resolve(["argparse.Namespace", "os.system", "torch.hub.load", "sys.exit"])
    assert pairs == [(argparse.Namespace, "argparse.Namespace")]
    assert refused == ["os.system", "sys.exit", "torch.hub.load"]


def test_allowing_does_not_outlast_the_call():
    load(stored(argparse.Namespace(a=1)))
    with pytest.raises(pickle.UnpicklingError):
        torch.load(stored(argparse.Namespace(a=1)), weights_only=True)


@pytest.mark.parametrize("kept", [0, 10, 300, -100])
def test_damaged_file_is_named_as_such(tmp_path, kept):
    path = tmp_path / "half.pt"
    path.write_bytes(stored({"a": torch.ones(500)}).getvalue()[:kept])
    with pytest.raises(ValueError, match=r"half\.pt: not a complete file"):
        load(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.pt")
