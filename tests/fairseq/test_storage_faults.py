"""Flipped bits, full disks and closed folders, for every layout of checkpoints."""

import logging
import multiprocessing
import os
import resource
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq_compat import checksum, safe_load
from fairseq_compat.atomic_save import save_object

from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.fairseq_checkpoint_files import Checkpoint, read, write
from biomedgpt_fairseq.fairseq_recovery import replace_if_damaged
from biomedgpt_fairseq.models.fairseq_model import OfaModel
from biomedgpt_fairseq.text.compact import train_compact_vocabulary
from biomedgpt_fairseq.text.tokenizer import load_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
NETWORK = {"_name": "ofa_micro", "scale_attn": True, "scale_fc": True, "scale_heads": True}
NETWORK |= {"max_source_positions": 64, "max_target_positions": 64, "image_bucket_size": 6}
NETWORK |= {"disable_entangle": True}
LAYOUTS = ("fairseq", "safetensors", "huggingface")
NOBODY = 65534
FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One checkpoint in every layout, and the file that they are from, `source`."""
    folder = tmp_path_factory.mktemp("layouts")
    train_compact_vocabulary(["is there a mass?", "no", "yes"], 300, folder / "bpe")
    torch.manual_seed(1)
    model = OfaModel.from_options(NETWORK, len(load_tokenizer(folder / "bpe", 4, 6).vocab))
    task = {"_name": "image_classify", "bpe_dir": str(folder / "bpe"), "code_dict_size": 4}
    state = {"args": None, "cfg": {"task": {**task, "num_bins": 6}, "model": NETWORK}}
    save_object({**state, "model": model.state_dict()}, str(folder / "source.pt"))
    paths = {"source": folder / "source.pt"}
    for layout in LAYOUTS:
        paths[layout] = folder / (f"{layout}.pt" if layout == "fairseq" else layout)
        assert convert(paths["source"], paths[layout], layout) == (0, "")
    return paths


def convert(source: Path, target: Path, layout: str) -> tuple[int, str]:
    """Status and errors of the command."""
    words = ["checkpoint", "convert", str(source), str(target), "--to", layout, "--weights-only"]
    with redirect_stderr(StringIO()) as error, redirect_stdout(StringIO()):
        return biomedgpt(words), error.getvalue()


def apart(work: Callable[..., Any], *args: Any, prepare: Callable[[], None]) -> Any:
    """What work gives in a process that `prepare` has restricted; its OSError as text."""
    here, there = FORK.Pipe(duplex=False)

    def run() -> None:
        prepare()
        try:
            there.send(work(*args))
        except OSError as error:
            there.send(str(error))

    process = FORK.Process(target=run)
    process.start()
    there.close()
    process.join(60)
    assert process.exitcode == 0
    return here.recv()


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))


def as_nobody() -> None:
    """Give up the rights of root, for whom no folder is closed."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)


def members(path: Path) -> list[Path]:
    """Files of a checkpoint, the sums included."""
    return sorted(path.iterdir()) if path.is_dir() else [path, Path(f"{path}{checksum.SUFFIX}")]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_flipped_bit_in_any_file_is_named_and_nothing_is_loaded(layout, layouts, tmp_path):
    path = tmp_path / layouts[layout].name
    for member in members(layouts[layout]):
        copy = path / member.name if layouts[layout].is_dir() else tmp_path / member.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(member, copy)
    read(path)
    for member in members(path):
        content = member.read_bytes()
        sums = member.name == checksum.FOLDER_FILE or member.suffix == checksum.SUFFIX
        for place in (0, 40, 63) if sums else (0, len(content) // 3, len(content) - 1):
            member.write_bytes(flipped(content, place))
            with pytest.raises(ValueError) as raised:
                read(path)
            # Where a sum is wrong, the file that it is of is named, and where the sum stands.
            assert str(path if sums else member) in str(raised.value)
            assert member.name in str(raised.value)
        member.write_bytes(content)
    read(path)


@pytest.mark.parametrize("place", [0, 31, 63])
def test_run_whose_sum_has_a_flipped_bit_goes_on_from_the_checkpoint_before(
    place, tmp_path, caplog
):
    last = tmp_path / "checkpoint_last.pt"
    for number in (1.0, 2.0):
        save_object({"model": {"w": torch.full((50,), number)}}, str(last))
    sums = Path(f"{last}.sha256")
    sums.write_bytes(flipped(sums.read_bytes(), place))
    with caplog.at_level(logging.WARNING):
        assert replace_if_damaged(last) == tmp_path / "checkpoint_previous.pt"
    assert f"{last}: the SHA-256 is " in caplog.text
    assert f"resuming from {tmp_path / 'checkpoint_previous.pt'} instead" in caplog.text
    assert safe_load.load(last)["model"]["w"][0] == 1 and checksum.check(str(last))


def test_name_of_another_file_in_the_sums_harms_nothing(tmp_path):
    path = tmp_path / "model.pt"
    save_object({"model": {"w": torch.ones(5)}}, str(path))
    sums = Path(f"{path}.sha256")
    for place in range(66, len(sums.read_bytes()) - 1):
        sums.write_bytes(flipped(sums.read_bytes(), place))
        assert safe_load.load(path)["model"]["w"].sum() == 5


@pytest.mark.parametrize("layout", LAYOUTS)
def test_full_disk_while_converting_leaves_nothing(layout, layouts, tmp_path):
    target = tmp_path / ("new.pt" if layout == "fairseq" else "new")
    status, error = apart(convert, layouts["source"], target, layout, prepare=small_files)
    assert status == 2
    assert "File too large" in error and str(target) in error
    assert list(tmp_path.iterdir()) == []


def write_long_text(target: Path) -> None:
    state = {"model": {}, "extra_state": {"text": "x" * 100_000}}
    write(Checkpoint(target, "safetensors", state), target, "safetensors")


def test_full_disk_at_the_json_state_leaves_nothing(tmp_path):
    told = apart(write_long_text, tmp_path / "new", prepare=small_files)
    assert told == f"[Errno 27] File too large: '{tmp_path / 'new'}'"
    assert list(tmp_path.iterdir()) == []


def test_full_disk_while_a_damaged_checkpoint_is_replaced_loses_none(tmp_path):
    last = tmp_path / "checkpoint_last.pt"
    for number in (1.0, 2.0):
        save_object({"model": {"w": torch.full((50_000,), number)}}, str(last))
    last.write_bytes(flipped(last.read_bytes(), 5000))
    before = contents(tmp_path)
    told = apart(replace_if_damaged, last, prepare=small_files)
    assert "File too large" in told and "checkpoint_last.pt.tmp" in told
    after = contents(tmp_path)
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {f"{last}.damaged"}
    # With space again, the run goes on.
    assert replace_if_damaged(last) == tmp_path / "checkpoint_previous.pt"


def test_sum_that_no_longer_fits_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    last = tmp_path / "checkpoint_last.pt"
    save_object({"w": torch.ones(5)}, str(last))
    before, stock = contents(tmp_path), os.fsync

    def full(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".sha256.tmp"):
            raise OSError(28, "No space left on device")
        stock(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: .*checkpoint_1_2.pt.sha256"):
        save_object({"w": torch.zeros(5)}, str(tmp_path / "checkpoint_1_2.pt"))
    assert contents(tmp_path) == before


@pytest.fixture
def closed_folder(layouts: dict[str, Path]) -> Iterator[Path]:
    """A folder in which nobody but root may write, with a run's two checkpoints and the source."""
    folder = Path(tempfile.mkdtemp())  # that of pytest is not open to others
    for number in (1.0, 2.0):
        save_object({"model": {"w": torch.full((5,), number)}}, str(folder / "checkpoint_last.pt"))
    shutil.copy(layouts["source"], folder / "source.pt")
    for path in folder.iterdir() if os.geteuid() == 0 else ():
        os.chown(path, NOBODY, NOBODY)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_closed_folder_is_named_and_keeps_its_checkpoints(closed_folder):
    last, before = closed_folder / "checkpoint_last.pt", contents(closed_folder)
    told = apart(save_object, {"w": torch.ones(3)}, str(last), prepare=as_nobody)
    assert told == f"[Errno 13] Permission denied: '{last}.tmp'"
    for layout in LAYOUTS:
        source, target = closed_folder / "source.pt", closed_folder / f"new_{layout}.pt"
        status, error = apart(convert, source, target, layout, prepare=as_nobody)
        assert status == 2 and "Permission denied" in error and str(target) in error
    assert contents(closed_folder) == before


def test_damaged_checkpoint_of_a_closed_folder_is_not_replaced(closed_folder):
    last = closed_folder / "checkpoint_last.pt"
    last.write_bytes(flipped(last.read_bytes(), 100))
    before = contents(closed_folder)
    told = apart(replace_if_damaged, last, prepare=as_nobody)
    assert "Permission denied" in told and str(last) in told
    assert contents(closed_folder) == before


def test_unreadable_file_is_named(closed_folder):
    source = closed_folder / "source.pt"
    source.chmod(0)
    status, error = apart(convert, source, closed_folder / "new.pt", "fairseq", prepare=as_nobody)
    assert stat.S_IMODE(source.stat().st_mode) == 0
    assert status == 2 and f"Permission denied: '{source}'" in error
