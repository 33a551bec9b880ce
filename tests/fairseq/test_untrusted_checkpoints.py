"""A checkpoint that holds code: refused by name on every way in, and nothing of it runs."""

import logging
import os
import pickle
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq import checkpoint_utils, options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq_cli import train
from fairseq_compat.safe_load import TRUST_SWITCH

from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.fairseq_checkpoint import install
from biomedgpt_fairseq.models.checkpoint import load_trunk


class RunsCommand:
    """Unpickled without care it makes a file."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.proof}",)


@pytest.fixture(autouse=True)
def untrusting(monkeypatch):
    monkeypatch.delenv(TRUST_SWITCH, raising=False)
    install()


@pytest.fixture(params=["torch", "old torch", "pickle", "legacy tar"])
def evil(request, tmp_path):
    """A checkpoint in each form that torch.load takes, and the file that its code would make."""
    proof, path = tmp_path / "proof", tmp_path / "evil.pt"
    state = {
        "args": Namespace(task="image_classify", arch="ofa_micro"),
        "model": {"w": torch.ones(1)},
        "optimizer_history": [{"num_updates": 1}],
        "extra_state": {"train_iterator": {"epoch": 1}, "harm": [RunsCommand(proof)]},
    }
    if request.param == "torch":
        torch.save(state, path)
    elif request.param == "old torch":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif request.param == "pickle":
        path.write_bytes(pickle.dumps(state))
    else:
        write_tar(path, RunsCommand(proof))
    yield path
    assert not proof.exists()


def write_tar(path: Path, harm: RunsCommand) -> None:
    """The format of torch before 0.1.11: a tar of pickles."""
    import io
    import tarfile

    with tarfile.open(path, "w") as archive:
        for name in ("pickle", "storages", "tensors", "sys_info"):
            data = pickle.dumps(harm, 2)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def train_with(folder: Path, *extra: str) -> None:
    words = ["--task=dummy_lm", "--dict-size=20", "--tokens-per-sample=8", "--batch-size=2"]
    words += ["--dataset-size=4", "--arch=transformer_lm", "--decoder-layers=1", "--cpu"]
    words += ["--decoder-embed-dim=8", "--decoder-attention-heads=2", "--optimizer=adam"]
    words += ["--decoder-ffn-embed-dim=8", "--max-update=1", "--num-workers=0", "--lr=0.01"]
    words += ["--distributed-world-size=1", "--disable-validation", f"--save-dir={folder}", *extra]
    parsed = options.parse_args_and_arch(options.get_training_parser(), input_args=words)
    train.main(convert_namespace_to_omegaconf(parsed))


@pytest.mark.parametrize("option", ["--restore-file", "--finetune-from-model"])
def test_training_does_not_start_from_it(evil, option, tmp_path):
    with pytest.raises(ValueError, match=r"evil\.pt"):
        train_with(tmp_path / "run", f"{option}={evil}")


def test_training_does_not_resume_from_it(evil, tmp_path):
    (tmp_path / "run").mkdir()
    evil.rename(tmp_path / "run" / "checkpoint_last.pt")
    with pytest.raises(ValueError, match=r"checkpoint_last\.pt"):
        train_with(tmp_path / "run")


def test_fairseqs_programs_do_not_load_it(evil):
    with pytest.raises(ValueError, match=r"evil\.pt"):
        checkpoint_utils.load_model_ensemble_and_task([str(evil)])


def test_image_trunk_does_not_start_from_it(evil):
    with pytest.raises((pickle.UnpicklingError, RuntimeError)):
        load_trunk(torch.nn.Linear(1, 1), str(evil))


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "rows.tsv", "--results-path", "out", "--path"],
        ["predict", "--text", "a", "--path"],
        ["checkpoint", "inspect"],
        ["checkpoint", "diff", "EVIL"],
        ["checkpoint", "average", "--output", "mean.pt"],
        ["checkpoint", "convert", "EVIL.x", "--to", "safetensors"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_commands_refuse_it(evil, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("rows.tsv").write_text("1\ta\tb\n")
    words = [str(evil) if word == "EVIL" else word for word in words]
    if "EVIL.x" in words:
        words = ["checkpoint", "convert", str(evil), "out", "--to", "safetensors"]
    else:
        words = [*words, str(evil)]
    assert biomedgpt(words) == 2
    assert str(evil) in capsys.readouterr().err


def test_verify_reports_it(evil, capsys):
    assert biomedgpt(["checkpoint", "verify", str(evil)]) == 1
    assert str(evil) in capsys.readouterr().out


def test_weights_of_a_hugging_face_folder_are_refused(tmp_path, capsys):
    from biomedgpt_fairseq.checkpoint_tools.hugging_face import config_json
    from biomedgpt_fairseq.config import SIZES

    folder = tmp_path / "hf"
    folder.mkdir()
    import json

    (folder / "config.json").write_text(json.dumps(config_json(SIZES["tiny"])))
    torch.save({"w": RunsCommand(tmp_path / "proof")}, folder / "pytorch_model.bin")
    assert biomedgpt(["checkpoint", "inspect", str(folder)]) == 2
    assert "pytorch_model.bin" in capsys.readouterr().err
    assert not (tmp_path / "proof").exists()


class Harmless:
    """A class that is not on the list."""


def test_trusted_file_is_rewritten_without_code(tmp_path, capsys, caplog):
    source, target, proof = tmp_path / "a.pt", tmp_path / "b.pt", tmp_path / "proof"
    state = {"model": {"w": torch.ones(1)}, "status": RunsCommand(proof)}
    torch.save(state, source)
    assert biomedgpt(["checkpoint", "convert", str(source), str(target)]) == 2
    assert "biomedgpt checkpoint convert --trust" in capsys.readouterr().err
    assert not proof.exists()
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("ignore")
        assert biomedgpt(["checkpoint", "convert", str(source), str(target), "--trust"]) == 0
    assert proof.exists() and any("running code" in r.message for r in caplog.records)
    assert torch.load(target, weights_only=True)["status"] == 0  # what the command returned


def test_trusted_object_without_plain_form_is_named_and_left_out_on_demand(tmp_path, capsys):
    source, target = tmp_path / "a.pt", tmp_path / "b.pt"
    torch.save({"model": {"w": torch.ones(1)}, "meter": Harmless()}, source)
    words = ["checkpoint", "convert", str(source), str(target), "--trust"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert biomedgpt(words) == 2
        assert "meter: cannot store a" in capsys.readouterr().err and not target.exists()
        assert biomedgpt([*words, "--weights-only"]) == 0
    assert torch.load(target, weights_only=True)["model"]["w"] == 1
