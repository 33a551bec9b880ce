"""`biomedgpt doctor`."""

import argparse
import sys
import types
from pathlib import Path

import pytest

from biomedgpt_fairseq.cli import doctor
from biomedgpt_fairseq.cli.doctor import Finding


def broken_import(error: Exception):
    def import_module(name: str):
        raise error

    return import_module


def test_healthy_environment_ends_with_0(capsys, monkeypatch):
    monkeypatch.setattr(
        doctor, "examine", lambda folder: [Finding("torch", "ok", "2", needed=True)]
    )
    assert doctor.run(argparse.Namespace(bpe_dir=None)) == 0
    assert "can run" in capsys.readouterr().out


def test_missing_need_ends_with_1_and_is_named(capsys, monkeypatch):
    findings = [
        Finding("torch", "ok", "2", needed=True),
        Finding("fairseq", "missing", "not installed", "pip install -e .", needed=True),
        Finding("java", "missing", "for METEOR", "install java"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda folder: findings)
    assert doctor.run(argparse.Namespace(bpe_dir=None)) == 1
    out = capsys.readouterr().out
    assert "cannot run: fairseq." in out
    assert "-> pip install -e ." in out


def test_table_aligns_names_and_prints_advice_below():
    text = doctor.table([Finding("a", "ok", "one"), Finding("long", "missing", "two", "do it")])
    assert text.splitlines() == [
        "a     ok       one",
        "long  missing  two",
        "               -> do it",
    ]


def test_this_environment_has_torch():
    found = doctor.check_torch()
    assert found.state == "ok" and found.needed


def test_broken_torch_is_reported_not_raised(monkeypatch):
    monkeypatch.setattr(doctor.importlib, "import_module", broken_import(OSError("libc10.so: no")))
    found = doctor.check_torch()
    assert (found.state, found.detail, found.needed) == ("broken", "libc10.so: no", True)


def test_torch_with_the_unsafe_reader_gets_advice(monkeypatch):
    old = types.SimpleNamespace(
        __version__="2.5.1", version=types.SimpleNamespace(cuda=None), get_num_threads=lambda: 1
    )
    monkeypatch.setattr(doctor.importlib, "import_module", lambda name: old)
    assert "2.6" in doctor.check_torch().advice


def test_fairseq_without_the_adapter_is_broken(monkeypatch):
    monkeypatch.setattr(doctor, "version", lambda name: "0.12.2")
    found = doctor.check_engine()
    assert found.state == "broken" and "pip uninstall" in found.advice


def test_inactive_hook_is_broken(monkeypatch):
    monkeypatch.setattr(doctor, "version", lambda name: "0.12.2+compat.1")
    monkeypatch.delitem(sys.modules, "fairseq_compat_hook", raising=False)
    found = doctor.check_engine()
    assert found.state == "broken" and "hook inactive" in found.detail


def test_absent_vocabulary_folder_is_a_need_only_if_named(tmp_path: Path):
    assert not doctor.check_vocabulary(None).needed
    found = doctor.check_vocabulary(tmp_path / "absent")
    assert found.state == "broken" and found.needed and "does not exist" in found.detail


@pytest.mark.parametrize(
    "error", [RuntimeError("operator torchvision::nms does not exist"), OSError("x")]
)
def test_optional_package_that_does_not_load_is_broken_not_fatal(monkeypatch, error):
    monkeypatch.setattr(doctor, "find_spec", lambda name: object())
    monkeypatch.setattr(doctor.importlib, "import_module", broken_import(error))
    found = doctor._optional("torchvision", "torchvision", "why", "advice")
    assert found.state == "broken" and not found.needed
    assert found.detail == str(error)


def test_java_is_optional(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert doctor.check_java().state == "missing" and not doctor.check_java().needed


def test_trust_switch_is_shown(monkeypatch):
    monkeypatch.setenv("BIOMEDGPT_TRUST_CHECKPOINTS", "1")
    assert any(found.name == "checkpoints" for found in doctor.examine(None))
