"""`biomedgpt checkpoint`: layouts there and back, comparison, means, faults."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq_compat.atomic_save import save_object

from biomedgpt_fairseq.checkpoint_tools.plain import equal
from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.fairseq_checkpoint_files import read
from biomedgpt_fairseq.models.fairseq_model import OfaModel
from biomedgpt_fairseq.text.compact import train_compact_vocabulary
from biomedgpt_fairseq.text.tokenizer import load_tokenizer

NETWORK = {
    "_name": "ofa_micro",
    "max_source_positions": 64,
    "max_target_positions": 64,
    "image_bucket_size": 6,
    "scale_attn": True,
    "scale_fc": True,
    "scale_heads": True,
    "disable_entangle": True,
}
CODES, BINS = 4, 6


@pytest.fixture(scope="module")
def bpe_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    train_compact_vocabulary(["is there a mass in the left lung?", "no", "yes"], 320, folder)
    return folder


def make_state(bpe_dir: Path, seed: int = 1) -> dict[str, Any]:
    """What a run saves: weights, averages, optimizer, counters."""
    torch.manual_seed(seed)
    size = len(load_tokenizer(bpe_dir, CODES, BINS).vocab)
    model = OfaModel.from_options(NETWORK, size)
    task = {"_name": "image_classify", "bpe_dir": str(bpe_dir), "code_dict_size": CODES}
    history = {"criterion_name": "C", "optimizer_name": "FairseqAdam", "lr_scheduler_state": {}}
    weights = model.state_dict()
    return {
        "args": None,
        "cfg": {"task": {**task, "num_bins": BINS}, "model": dict(NETWORK), "common": {"seed": 3}},
        "model": weights,
        "criterion": None,
        "optimizer_history": [{**history, "num_updates": 12}],
        "task_state": {"answers": ["no", "yes"]},
        "extra_state": {
            "train_iterator": {"epoch": 2, "iterations_in_epoch": 3},
            "ema": {name: value + 1 for name, value in weights.items()},
            "best": 0.5,
        },
        "last_optimizer_state": {
            "state": {0: {"step": 12, "exp_avg": torch.randn(3)}},
            "param_groups": [{"betas": (0.9, 0.999), "lr": 1e-4}],
        },
    }


@pytest.fixture(scope="module")
def state(bpe_dir):
    return make_state(bpe_dir)


@pytest.fixture
def path(tmp_path, state):
    save_object(state, str(tmp_path / "model.pt"))
    return tmp_path / "model.pt"


def command(*words: object) -> int:
    return biomedgpt(["checkpoint", *map(str, words)])


def test_safetensors_and_back_keeps_every_bit(path, state, tmp_path, capsys):
    assert command("convert", path, tmp_path / "plain", "--to", "safetensors") == 0
    assert command("convert", tmp_path / "plain", tmp_path / "back.pt") == 0
    assert equal(read(tmp_path / "back.pt").state, state)
    names = {member.name for member in (tmp_path / "plain").iterdir()}
    assert names == {"model.safetensors", "state.json", "state.safetensors", "SHA256SUMS"}
    assert subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "plain").returncode == 0
    assert command("verify", tmp_path / "plain", tmp_path / "back.pt") == 0


def test_hugging_face_and_back_keeps_weights_options_and_vocabulary(
    path, state, bpe_dir, tmp_path, capsys
):
    folder, back = tmp_path / "hf", tmp_path / "back.pt"
    assert command("convert", path, folder, "--to", "huggingface", "--weights-only") == 0
    assert "left out: optimizer_history, extra_state.ema" in capsys.readouterr().out
    assert command("convert", folder, back) == 0
    found = read(back).state
    assert equal(found["model"], state["model"])
    assert found["task_state"] == state["task_state"]
    vocabulary = tmp_path / "back_vocab"
    task = {**state["cfg"]["task"], "bpe_dir": str(vocabulary)}
    assert found["cfg"]["task"] == task
    assert NETWORK.items() <= found["cfg"]["model"].items()
    for name in ("dict.txt", "encoder.json", "vocab.bpe", "vocabulary.json"):
        assert (vocabulary / name).read_bytes() == (bpe_dir / name).read_bytes()
    # Once more: the same folder.
    again = tmp_path / "again"
    assert command("convert", back, again, "--to", "huggingface", "--bpe-dir", bpe_dir) == 0
    for member in set(os.listdir(folder)) - {"SHA256SUMS", "config.json", "pytorch_model.bin"}:
        assert (again / member).read_bytes() == (folder / member).read_bytes(), member
    weights = [torch.load(f / "pytorch_model.bin", weights_only=True) for f in (folder, again)]
    assert equal(*weights)


def test_folder_of_the_public_class_alone_is_read(path, state, tmp_path):
    folder = tmp_path / "hf"
    command("convert", path, folder, "--to", "huggingface", "--weights-only")
    config = json.loads((folder / "config.json").read_text())
    del config["biomedgpt"]
    (folder / "SHA256SUMS").unlink()
    (folder / "config.json").write_text(json.dumps(config))
    checkpoint = read(folder)
    assert equal(checkpoint.state["model"], state["model"])
    assert checkpoint.network().config.heads == 4


def test_hugging_face_takes_nothing_away_unasked(path, tmp_path, capsys):
    assert command("convert", path, tmp_path / "hf", "--to", "huggingface") == 2
    error = capsys.readouterr().err
    assert (
        "no place for" in error and "last_optimizer_state" in error and "extra_state.ema" in error
    )
    assert sorted(os.listdir(tmp_path)) == ["model.pt", "model.pt.sha256"]


def test_another_vocabulary_is_refused(path, tmp_path, capsys):
    train_compact_vocabulary(["another text " * 9, "of more words"], 500, tmp_path / "other")
    words = ["--to", "huggingface", "--weights-only", "--bpe-dir", tmp_path / "other"]
    (tmp_path / "other" / "vocabulary.json").write_text("{}")
    assert command("convert", path, tmp_path / "hf", *words) == 2
    assert "vocabulary.json" in capsys.readouterr().err and not (tmp_path / "hf").exists()


def test_averaged_weights_take_the_place_of_the_plain_ones(path, state, tmp_path, capsys):
    assert command("convert", path, tmp_path / "ema.pt", "--ema") == 2
    assert command("convert", path, tmp_path / "ema.pt", "--ema", "--weights-only") == 0
    assert equal(read(tmp_path / "ema.pt").state["model"], state["extra_state"]["ema"])
    assert (
        command("convert", tmp_path / "ema.pt", tmp_path / "x.pt", "--ema", "--weights-only") == 2
    )
    assert "no averaged weights" in capsys.readouterr().err


def test_existing_target_is_left_alone(path, tmp_path, capsys):
    before = path.read_bytes()
    assert command("convert", path, path, "--weights-only") == 2
    assert f"{path} exists" in capsys.readouterr().err and path.read_bytes() == before
    assert command("convert", path, tmp_path / "folder") == 2
    assert "--to" in capsys.readouterr().err


def test_full_disk_leaves_no_folder(path, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("biomedgpt_fairseq.checkpoint_tools.folder.save_file", full)
    assert command("convert", path, tmp_path / "plain", "--to", "safetensors") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["model.pt", "model.pt.sha256"]


def test_inspect_names_what_a_file_is(path, capsys):
    assert command("inspect", path) == 0
    lines = capsys.readouterr().out.splitlines()
    facts = {name: text.strip() for name, _, text in (line.partition("  ") for line in lines)}
    assert facts["architecture"] == "ofa_micro" and facts["task"] == "image_classify"
    assert facts["updates"] == "12, epoch 2" and facts["averaged"] == "yes"
    assert "last_optimizer_state" in facts["training state"]
    assert facts["sha256 model.pt"].endswith("(verified)")


def test_diff_lists_what_differs(path, bpe_dir, tmp_path, capsys):
    other = make_state(bpe_dir)
    assert command("diff", path, path) == 0
    other["model"]["encoder.layers.0.fc1.bias"] = torch.full((256,), 2.5)
    del other["model"]["decoder.layer_norm.bias"]
    save_object(other, str(tmp_path / "other.pt"))
    capsys.readouterr()
    assert command("diff", path, tmp_path / "other.pt") == 1
    out = capsys.readouterr().out
    assert f"only in {path}: decoder.layer_norm.bias" in out
    assert "1 have other numbers" in out and "encoder.layers.0.fc1.bias" in out


def test_average_is_loaded_by_the_network(path, state, bpe_dir, tmp_path):
    other = make_state(bpe_dir, seed=2)
    save_object(other, str(tmp_path / "other.pt"))
    assert command("average", path, tmp_path / "other.pt", "--output", tmp_path / "mean.pt") == 0
    mean = read(tmp_path / "mean.pt")
    name = "encoder.layers.1.fc2.weight"
    wanted = (state["model"][name] + other["model"][name]) / 2
    torch.testing.assert_close(mean.state["model"][name], wanted)
    assert mean.network() and "last_optimizer_state" not in mean.state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["model"].pop("encoder.layer_norm.bias"), "missing"),
        (lambda s: s["model"].update(extra=torch.ones(1)), "unexpected"),
        (lambda s: s["model"].update({"encoder.image_proj.bias": torch.ones(9)}), "shape"),
        (lambda s: s["extra_state"]["ema"]["encoder.image_proj.bias"].fill_(torch.nan),
         "extra_state.ema.encoder.image_proj.bias: 64 of 64"),
        (lambda s: s["last_optimizer_state"]["state"][0]["exp_avg"].fill_(torch.inf), "exp_avg: 3"),
        (lambda s: s["model"].clear(), "embed_tokens"),
    ],
)  # fmt: skip
def test_verify_finds(change, message, bpe_dir, tmp_path, capsys):
    faulty = make_state(bpe_dir)
    change(faulty)
    save_object(faulty, str(tmp_path / "a.pt"))
    assert command("verify", tmp_path / "a.pt") == 1
    out = capsys.readouterr().out
    assert message in out and str(tmp_path / "a.pt") in out


@pytest.mark.parametrize("layout", ["fairseq", "safetensors", "huggingface"])
def test_flipped_bit_in_any_file_is_found(path, layout, tmp_path, capsys):
    target = tmp_path / "out"
    assert command("convert", path, target, "--to", layout, "--weights-only") == 0
    for member in [target] if target.is_file() else sorted(target.iterdir()):
        content = member.read_bytes()
        for place in (0, len(content) // 2, len(content) - 1):
            flipped = bytearray(content)
            flipped[place] ^= 4
            member.write_bytes(flipped)
            assert command("verify", target) == 1, (member, place)
        member.write_bytes(content)
    capsys.readouterr()
    assert command("verify", target) == 0


@pytest.mark.parametrize("name", ["state.json", "model.safetensors"])
def test_cut_off_folder_without_sums_is_named(path, name, tmp_path, capsys):
    command("convert", path, tmp_path / "plain", "--to", "safetensors")
    (tmp_path / "plain" / "SHA256SUMS").unlink()
    os.truncate(tmp_path / "plain" / name, 200)
    assert command("inspect", tmp_path / "plain") == 2
    assert name in capsys.readouterr().err
