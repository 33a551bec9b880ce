"""The small causes: helpers which patched fairseq code calls."""

import argparse
import sys
import types

import pytest
import torch
from fairseq_compat import bf16, cpu_ddp, cpu_distributed, ema_buffers, quiet, user_dir


def test_user_dir_prefers_a_folder(tmp_path, monkeypatch):
    (tmp_path / "json").mkdir()
    monkeypatch.chdir(tmp_path)
    assert user_dir.folder_of("json") == str(tmp_path / "json")


def test_user_dir_takes_the_name_of_a_package(tmp_path, monkeypatch):
    package = tmp_path / "elsewhere" / "some_plugin"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.chdir(tmp_path)
    assert user_dir.folder_of("some_plugin") == str(package)
    assert "some_plugin" not in sys.modules


@pytest.mark.parametrize("name", ["no_such_plugin", "../no_such_plugin", "decimal"])
def test_user_dir_leaves_other_names_to_fairseq(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert user_dir.folder_of(name).endswith(name.rpartition("/")[2])


def test_integer_and_boolean_buffers_are_copied_not_averaged():
    model = torch.nn.Linear(1, 1)
    model.register_buffer("steps", torch.zeros(1, dtype=torch.long))
    model.register_buffer("seen", torch.zeros(1, dtype=torch.bool))
    model.register_buffer("mean", torch.zeros(1))
    assert ema_buffers.keys_to_copy(model, None) == {"steps", "seen"}
    assert ema_buffers.keys_to_copy(model, ["bias"]) == {"steps", "seen", "bias"}


def options(backend: str, cpu: bool) -> argparse.Namespace:
    return argparse.Namespace(
        distributed_training=argparse.Namespace(distributed_backend=backend),
        common=argparse.Namespace(cpu=cpu),
    )


@pytest.mark.parametrize(
    ("backend", "cpu", "cuda", "expected"),
    [
        ("nccl", False, True, "nccl"),
        ("nccl", True, True, "gloo"),
        ("nccl", False, False, "gloo"),
        ("mpi", True, False, "mpi"),
    ],
)
def test_backend_becomes_gloo_without_a_gpu(monkeypatch, backend, cpu, cuda, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert cpu_distributed.backend(options(backend, cpu)) == expected


@pytest.mark.parametrize(("gpus", "enough"), [(0, 64), (3, 3)])
def test_device_count_never_limits_a_machine_without_gpus(monkeypatch, gpus, enough):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    count = cpu_distributed.device_count()
    assert count >= enough and (gpus == 0 or count == gpus)


def test_buffers_are_zeros_on_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for make in (cpu_distributed.communication_buffer, cpu_distributed.host_buffer):
        buffer = make(3)
        assert buffer.tolist() == [0, 0, 0] and buffer.dtype == torch.uint8
        assert buffer.device.type == "cpu"


def test_ddp_drops_device_numbers_for_a_module_on_the_cpu(monkeypatch):
    given = {}
    monkeypatch.setattr(
        torch.nn.parallel, "DistributedDataParallel", lambda module, **kw: given.update(kw)
    )
    module = torch.nn.Linear(1, 1)
    cpu_ddp.distributed_data_parallel(module=module, device_ids=[1], output_device=1, bucket=2)
    assert given == {"device_ids": None, "output_device": None, "bucket": 2}


def test_no_tpu_without_torch_xla():
    assert not bf16.has_tpu()


def test_quiet_hides_by_message_only(recwarn):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        quiet.install()
        warnings.warn("\nHydra 1.4 will remove this compatibility behavior.", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    assert [str(w.message) for w in recwarn] == ["something else"]


def test_plugin_imported_before_registers_itself():
    plugin = types.ModuleType("plugin")
    user_dir.register_imported(plugin)
    calls = []
    plugin.register = lambda: calls.append("registered")
    user_dir.register_imported(plugin)
    assert calls == ["registered"]
