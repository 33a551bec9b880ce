"""Targets: checkpoints in all layouts, their checksums, and the options in them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import tempfile
import zipfile
from argparse import Namespace
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq_compat import checksum
from safetensors.torch import save

from biomedgpt_fairseq import fairseq_register as fairseq_register
from biomedgpt_fairseq.checkpoint_tools.folder import MODEL_FILE, STATE_FILE, read_json
from biomedgpt_fairseq.checkpoint_tools.folder import write_folder as write_plain
from biomedgpt_fairseq.checkpoint_tools.hugging_face import CONFIG_FILE, config_json
from biomedgpt_fairseq.config import SIZES
from biomedgpt_fairseq.fairseq_checkpoint_files import build_network, read
from biomedgpt_fairseq.fairseq_checkpoint_report import faults
from biomedgpt_fairseq.fairseq_recovery import damage
from biomedgpt_fairseq.fairseq_saved_options import saved_options
from biomedgpt_fairseq.image_tokenizer.config import TokenizerConfig
from biomedgpt_fairseq.image_tokenizer.network import VqNetwork
from biomedgpt_fairseq.image_tokenizer.weights import read_network, save_network
from tests.fuzz.harness import Parse, Target, Wrong, file_target, named

WEIGHT = "encoder.layers.0.fc1.weight"
STATE: dict[str, Any] = {
    "args": None,
    "cfg": {"task": {"_name": "caption", "num_bins": 1000}, "model": {"_name": "ofa_micro"}},
    "model": {WEIGHT: torch.ones(2, 3), "b": torch.zeros(1, dtype=torch.int64)},
    "optimizer_history": [{"num_updates": 7, "lr_scheduler_state": {"best": np.float64(2.5)}}],
    "extra_state": {"train_iterator": {"epoch": 2}, "best": float("inf"), "t": (1, None)},
}


class RunsCommand:
    """Unpickled without care it makes the file that the variable names."""

    def __reduce__(self) -> Any:
        return os.system, ("touch $FUZZ_PROOF",)


def _saved(state: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(state, file, **options)
    return file.getvalue()


OLD = {**STATE, "args": Namespace(task="caption", arch="ofa_micro"), "cfg": None}
PLAIN = {**OLD, "optimizer_history": [{"num_updates": 7}]}
OLD["extra_state"] = defaultdict(list, {1: np.arange(3)})
EVIL = {**STATE, "harm": RunsCommand()}
FILES = [_saved(STATE), _saved(PLAIN, _use_new_zipfile_serialization=False), _saved(OLD)]
HARMFUL = [_saved(EVIL), _saved(EVIL, _use_new_zipfile_serialization=False), pickle.dumps(EVIL)]
PICKLE_TOKENS = (
    *(
        b"cposix\nsystem\n",
        b"cbuiltins\neval\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"R",
        b".",
    ),
    *(b"ctorch\nFloatStorage\n", b"(", b"t", b"\x93", b"b", b"q\x01", b"h\x01", b"Q", b"]", b"}"),
)


def _read_pt(path: Path) -> None:
    proof = path.with_name("proof")
    os.environ["FUZZ_PROOF"] = str(proof)
    try:
        damage(path)
        saved_options(read(path).state)
    finally:
        if proof.exists():
            proof.unlink()
            raise Wrong("code of the file was run")


def _members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _pickle_of(data: bytes) -> bytes:
    return next(v for name, v in _members(data).items() if name.endswith("data.pkl"))


def _open_pickle(folder: Path) -> Parse:
    """The pickle inside of a whole file of torch.save."""
    members, path = _members(FILES[0]), folder / "a.pt"

    def parse(data: bytes) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, data if name.endswith("data.pkl") else content)
        with named(path):
            _read_pt(path)

    return parse


def _plain_folder(folder: Path) -> None:
    write_plain(STATE, folder)


def _files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@lru_cache
def _plain_files() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        _plain_folder(Path(name))
        checksum.record_folder(Path(name))
        return _files_of(Path(name))


def _read_folder(path: Path) -> None:
    saved_options(read(path.parent).state)


def _prepare_sums(folder: Path) -> None:
    for name, content in _plain_files().items():
        (folder / name).write_bytes(content)


def _prepare_file(folder: Path) -> None:
    (folder / "a.pt").write_bytes(FILES[0])


def _prepare_hugging_face(folder: Path) -> None:
    (folder / MODEL_FILE).write_bytes(save({WEIGHT: torch.ones(2, 3)}))


def _options(path: Path) -> None:
    """The network of saved options."""
    options = saved_options({**STATE, "cfg": read_json(path)}).model
    try:
        with torch.device("meta"):
            build_network({"arch": "ofa_micro", **options}, {}, 70)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


NETWORK = TokenizerConfig("plain", 4, 4, 4, 4, (1, 2), 1, (1,), 4)


@lru_cache
def _tokenizer_files() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        save_network(Path(name) / "net.safetensors", VqNetwork(NETWORK), {})
        return _files_of(Path(name))


def _prepare_tokenizer(folder: Path) -> None:
    for name, content in _tokenizer_files().items():
        (folder / name).write_bytes(content)


def _tokenizer_pt() -> bytes:
    return _saved({"state_dict": {"a": torch.ones(2)}, "callbacks": {}})


def _read_tokenizer_pt(path: Path) -> None:
    proof = path.with_name("proof")
    os.environ["FUZZ_PROOF"] = str(proof)
    try:
        read_network(path)
    finally:
        if proof.exists():
            raise Wrong("code of the file was run")


CONFIG = json.dumps(config_json(SIZES["micro"]))
OPTIONS = json.dumps({"task": {"_name": "caption"}, "model": {
    "_name": "ofa_micro", "encoder_layers": 2, "dropout": 0.1, "resnet_type": "resnet_micro",
    "encoder_embed_dim": 64, "decoder_embed_dim": 64, "max_source_positions": 64,
}})  # fmt: skip
SUM = f"{hashlib.sha256(FILES[0]).hexdigest()}  a.pt\n"

TARGETS = [
    file_target("checkpoint/pt", "a.pt", _read_pt, *FILES, hostile=HARMFUL, share=3,
                tokens=PICKLE_TOKENS),
    Target("checkpoint/pickle", _open_pickle, [_pickle_of(FILES[i]) for i in (0, 2)], share=6,
           tokens=PICKLE_TOKENS, hostile=[_pickle_of(HARMFUL[0])]),
    file_target("checkpoint/sha256", "a.pt.sha256", lambda path: read(path.with_suffix("")), SUM,
                share=3, prepare=_prepare_file),
    file_target("checkpoint/sums", checksum.FOLDER_FILE, _read_folder,
                _plain_files()[checksum.FOLDER_FILE], share=5, prepare=_prepare_sums),
    file_target("checkpoint/state.json", STATE_FILE, _read_folder, _plain_files()[STATE_FILE],
                share=5, prepare=lambda f: (_prepare_sums(f), (f / checksum.FOLDER_FILE).unlink()),
                tokens=(b'"$tensor"', b'"$items"', b'"$numpy"', b'"$namespace"', b'"$float"')),
    file_target("checkpoint/safetensors", MODEL_FILE, _read_folder, _plain_files()[MODEL_FILE],
                share=5, prepare=lambda f: (_prepare_sums(f), (f / checksum.FOLDER_FILE).unlink()),
                tokens=(b'"data_offsets"', b'"F32"', b'"BF16"', b"[0,24]")),
    file_target("checkpoint/config.json", CONFIG_FILE, lambda path: faults(path.parent), CONFIG,
                share=3, prepare=_prepare_hugging_face),
    file_target("checkpoint/options", "options.json", _options, OPTIONS, share=1),
    file_target("checkpoint/tokenizer", "net.safetensors", read_network,
                _tokenizer_files()["net.safetensors"], share=2, prepare=_prepare_tokenizer),
    file_target("checkpoint/tokenizer-sizes", "net.json",
                lambda path: read_network(path.with_suffix(".safetensors")),
                _tokenizer_files()["net.json"], share=2, prepare=_prepare_tokenizer),
    file_target("checkpoint/tokenizer-pt", "net.ckpt", _read_tokenizer_pt, share=2,
                hostile=[_tokenizer_pt(), HARMFUL[0]], tokens=PICKLE_TOKENS),
]  # fmt: skip
