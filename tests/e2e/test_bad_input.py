"""Damaged or dangerous input ends in an error that names the file, the row and what to do."""

import base64
import json
import os
import pickle
import shutil
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from e2e_commands import (
    PLUGIN,
    call,
    call_here,
    num_updates,
    read_checkpoint,
    train_command,
    train_here,
)
from fairseq_compat.safe_load import UnsafeCheckpointError

from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.data.errors import BadRow

IMAGE, LABEL = 0, 2


@dataclass(frozen=True)
class Data:
    """A copy of the classification data that a test may spoil."""

    folder: Path

    def file(self, split):
        return self.folder / f"{split}.tsv"

    def cells(self, split, row):
        return self.file(split).read_text("utf-8").splitlines()[row - 1].split("\t")

    def replace(self, split, row, cells):
        """Write other cells into a row (from 1); returns the place as errors name it."""
        lines = self.file(split).read_text("utf-8").splitlines()
        lines[row - 1] = "\t".join(cells)
        self.file(split).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return f"{self.file(split)}:{row}:"

    def set_cell(self, split, row, column, text):
        cells = self.cells(split, row)
        cells[column] = text
        return self.replace(split, row, cells)


@pytest.fixture
def data(corpus, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(corpus.folder / "image_classify", folder)
    return Data(folder)


def _train(corpus, data, save_dir, *options):
    options = ("--max-update", "2", "--no-epoch-checkpoints", *options)
    return train_here(train_command(corpus, "image_classify", save_dir, *options, data=data.folder))


def _evaluate_error(capsys, *options):
    """What `biomedgpt evaluate` prints as its error: one message, exit code 2."""
    capsys.readouterr()
    results = ["--results-path", "/nonexistent/results"]
    assert biomedgpt(["evaluate", *map(str, options), *results, "--cpu", "--no-report"]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    lines = [line for line in error.splitlines() if line.startswith("biomedgpt: error: ")]
    assert len(lines) == 1
    return error[error.index("biomedgpt: error: ") :]


def _huge_picture():
    """A PNG of a few bytes that says it has 60,000 x 60,000 pixels."""

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()


def _spoil(data, split, row, kind):
    """Spoil a row; returns its place and what the error must say."""
    cells = data.cells(split, row)
    if kind == "truncated":
        half = cells[IMAGE][: len(cells[IMAGE]) // 8 * 4]
        return data.set_cell(split, row, IMAGE, half), "not a readable picture"
    if kind == "huge":
        return data.set_cell(split, row, IMAGE, _huge_picture()), "3600000000 pixels"
    if kind == "NUL":
        return data.set_cell(split, row, LABEL, "no\0rmal"), "found a NUL character"
    if kind == "tab":
        return data.set_cell(split, row, LABEL, "no\trmal"), "expected 3 columns as in the first"
    if kind == "empty":
        return data.set_cell(split, row, LABEL, ""), "column 'label' is empty"
    if kind == "missing file":
        return data.set_cell(split, row, IMAGE, "gone.png"), "gone.png does not exist"
    if kind == "odd length":
        return data.set_cell(split, row, IMAGE, cells[IMAGE][:-3]), "expected an image as base64"
    return data.replace(split, row, cells[:2]), "expected at least 3 columns"


KINDS = ["truncated", "odd length", "huge", "columns", "NUL", "tab", "empty", "missing file"]


@pytest.mark.parametrize("kind", KINDS)
def test_bad_row_is_named_in_evaluation(kind, data, trained, capsys):
    place, reason = _spoil(data, "valid", 4, kind)
    error = _evaluate_error(capsys, data.file("valid"), "--path", trained["image_classify"])
    assert f"biomedgpt: error: {place}" in error
    assert reason in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("kind", ["missing file", "truncated", "odd length"])
def test_bad_row_is_named_in_prediction(kind, data, trained, capsys):
    place, reason = _spoil(data, "valid", 4, kind)
    capsys.readouterr()
    rows = ["--input", str(data.file("valid")), "--selected-cols", str(IMAGE), "--cpu"]
    assert biomedgpt(["predict", "--path", str(trained["image_classify"]), *rows]) == 2
    error = capsys.readouterr().err
    assert f"biomedgpt: error: {place}" in error and reason in error


def test_pictures_of_prediction_are_sought_beside_the_rows(data, trained, capsys):
    (data.folder / "a.png").write_bytes(base64.b64decode(data.cells("valid", 1)[IMAGE]))
    (data.folder / "rows.tsv").write_bytes(b"a.png\r\n")
    capsys.readouterr()
    rows = ["--input", str(data.folder / "rows.tsv"), "--cpu"]
    assert biomedgpt(["predict", "--path", str(trained["image_classify"]), *rows]) == 0
    assert json.loads(capsys.readouterr().out)["answer"]


def test_rows_that_share_an_id_are_named(corpus, trained, tmp_path, capsys, caplog):
    lines = (corpus.folder / "vqa_gen" / "valid.tsv").read_text("utf-8").splitlines()
    cells = lines[3].split("\t")
    lines[3] = "\t".join([lines[1].split("\t")[0], *cells[1:]])
    path = tmp_path / "valid.tsv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    options = ["--path", str(trained["vqa_gen"]), "--cpu", "--no-report"]
    assert biomedgpt(["evaluate", str(path), *options, "--results-path", str(tmp_path)]) == 0
    shared = lines[1].split("\t")[0]
    assert f"{path}:4: has the id {shared!r} of row 2, as 1 rows have" in caplog.text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'["caf\xe9"]', "expected UTF-8 text"),
        (b"[0.5, 3]", "must hold a JSON map or list of answer texts, found [0.5, 3]"),
        (b"[true]", "must hold a JSON map or list of answer texts, found [True]"),
        (b'{"yes": 0, "yes": 1}', "the answer 'yes' occurs twice"),
        (b'["yes", "yes"]', "'yes'"),
        (b'["yes", " "]', "answers must not be blank"),
        (b"[", "is not valid JSON"),
    ],
)
def test_bad_answer_file_is_an_error(content, reason, data, trained, tmp_path, capsys):
    (tmp_path / "answers.json").write_bytes(content)
    overrides = json.dumps({"ans2label_file": str(tmp_path / "answers.json")})
    options = ["--path", trained["image_classify"], "--model-overrides", overrides]
    assert reason in _evaluate_error(capsys, data.file("valid"), *options)


@pytest.mark.parametrize("kind", ["truncated", "huge", "columns"])
@pytest.mark.parametrize("workers", ["0", "1"])
def test_bad_row_stops_training_and_is_named(kind, workers, corpus, data, tmp_path):
    place, reason = _spoil(data, "train", 3, kind)
    with pytest.raises(BadRow) as raised:
        _train(corpus, data, tmp_path / "run", "--num-workers", workers)
    assert place in str(raised.value)
    assert reason in str(raised.value)


def test_bad_rows_are_replaced_logged_and_counted_when_told(corpus, data, tmp_path):
    place, reason = _spoil(data, "train", 3, "truncated")
    _spoil(data, "train", 6, "huge")
    options = ["--on-bad-row", "skip", "--num-workers", "1", "--max-update", "4"]
    log = _train(corpus, data, tmp_path / "run", *options)
    assert num_updates(read_checkpoint(tmp_path / "run" / "checkpoint_last.pt")) == 4
    assert f"{data.file('train')}: 2 bad rows were replaced so far" in log
    (tmp_path / "again").mkdir()
    log = _train(corpus, data, tmp_path / "again", *options, "--num-workers", "0")
    noted = [line for line in log.splitlines() if "bad row replaced" in line]
    assert len(noted) == 2
    assert any(place in line and reason in line for line in noted)


def test_unknown_training_label_is_an_error_that_offers_a_way(corpus, data, tmp_path):
    place = data.set_cell("train", 5, LABEL, "unheard of").removesuffix(":")
    with pytest.raises(ValueError, match="--on-unknown-answer drop or extend") as raised:
        _train(corpus, data, tmp_path / "run")
    assert place in str(raised.value)
    assert "'unheard of'" in str(raised.value)


def test_rows_with_an_unknown_label_are_dropped_when_told(corpus, data, tmp_path):
    data.set_cell("train", 5, LABEL, "unheard of")
    options = ["--on-unknown-answer", "drop", "--batch-size", "1"]
    log = _train(corpus, data, tmp_path / "run", *options, "--max-update", "7")
    assert "1 of 8 rows have an answer outside" in log and "rows are dropped" in log
    # Seven rows of eight make an epoch.
    state = read_checkpoint(tmp_path / "run" / "checkpoint_last.pt")
    assert state["extra_state"]["train_iterator"]["epoch"] == 2


def test_answers_are_added_when_told_and_come_back_with_the_checkpoint(
    corpus, data, tmp_path, capsys
):
    data.set_cell("train", 5, LABEL, "unheard of")
    log = _train(corpus, data, tmp_path / "run", "--on-unknown-answer", "extend")
    assert "1 answers added to the closed set" in log
    path = tmp_path / "run" / "checkpoint_last.pt"
    assert read_checkpoint(path)["task_state"]["answers"][-1] == "unheard of"
    picture = tmp_path / "picture.png"
    picture.write_bytes(base64.b64decode(data.cells("valid", 1)[IMAGE]))
    shutil.rmtree(data.folder)
    capsys.readouterr()
    options = ["--image", str(picture), "--top-k", "50", "--cpu"]
    assert biomedgpt(["predict", "--path", str(path), *options]) == 0
    assert '"answer": "unheard of"' in capsys.readouterr().out


@pytest.mark.parametrize("split", ["train", "valid"])
def test_empty_file_is_an_error(split, corpus, data, tmp_path):
    data.file(split).write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{split}\.tsv: the file is empty"):
        _train(corpus, data, tmp_path / "run")


def test_empty_file_is_an_error_in_evaluation(data, trained, capsys):
    data.file("valid").write_bytes(b"")
    error = _evaluate_error(capsys, data.file("valid"), "--path", trained["image_classify"])
    assert f"{data.file('valid')}: the file is empty" in error


def test_missing_vocabulary_is_an_error(corpus, data, trained, tmp_path, capsys):
    absent = str(tmp_path / "absent")
    with pytest.raises((FileNotFoundError, ValueError), match=absent):
        _train(corpus, data, tmp_path / "run", "--bpe-dir", absent)
    error = _evaluate_error(capsys, "--path", trained["image_classify"], "--bpe-dir", absent)
    assert absent in error
    assert "biomedgpt vocab" in error


def _missing(weights):
    del weights["decoder.layers.0.fc1.weight"]
    return "decoder.layers.0.fc1.weight"


def _extra(weights):
    weights["encoder.surplus"] = torch.zeros(1)
    return "encoder.surplus"


def _reshaped(weights):
    weights["encoder.layers.1.fc2.bias"] = torch.zeros(3)
    return "encoder.layers.1.fc2.bias (3,), (64,)"


@pytest.mark.parametrize("change", [_missing, _extra, _reshaped])
def test_checkpoint_that_does_not_fit_is_an_error(change, corpus, data, trained, tmp_path, capsys):
    state = read_checkpoint(trained["image_classify"])
    named = change(state["model"])
    path = tmp_path / "other.pt"
    torch.save(state, path)
    error = _evaluate_error(capsys, data.file("valid"), "--path", path)
    assert named in error
    assert str(path) in error
    restore = ["--restore-file", str(path), "--reset-optimizer", "--reset-dataloader"]
    with pytest.raises(Exception, match="other.pt") as raised:
        _train(corpus, data, tmp_path / "run", *restore)
    reasons = f"{raised.value} {raised.value.__cause__} {raised.value.__context__}"
    assert named in reasons


class _Attack:
    """A pickle that runs a command when it is read."""

    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return os.system, (f"touch {self.proof}",)


@pytest.mark.parametrize("form", ["torch", "bare pickle"])
def test_code_in_a_checkpoint_is_not_run(form, corpus, data, tmp_path, capsys):
    proof, path = tmp_path / "proof", tmp_path / "evil.pt"
    state = {"model": {}, "cfg": None, "args": _Attack(proof)}
    if form == "torch":
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(state))
    error = _evaluate_error(capsys, data.file("valid"), "--path", path)
    assert str(path) in error
    assert "system" in error or form != "torch"
    from fairseq_cli.validate import cli_main

    options = corpus.task_options("image_classify", data.folder)
    command = ["fairseq-validate", *options, "--user-dir", PLUGIN, "--cpu", "--path", path]
    with pytest.raises((UnsafeCheckpointError, ValueError), match="evil.pt|memory"):
        call_here(cli_main, [*command, "--batch-size", "4"])
    assert not proof.exists()


@pytest.mark.slow
def test_full_disk_leaves_the_last_checkpoint(corpus, data, tmp_path):
    save_dir = tmp_path / "run"
    _train(corpus, data, save_dir)
    last = save_dir / "checkpoint_last.pt"
    content = last.read_bytes()
    options = ["--max-update", "4", "--no-epoch-checkpoints"]
    command = train_command(corpus, "image_classify", save_dir, *options, data=data.folder)
    done = call(command, check=False, max_file_bytes=len(content) // 2)
    assert done.code != 0
    assert "File too large" in done.text
    assert last.read_bytes() == content
    assert num_updates(read_checkpoint(last)) == 2
    assert not list(save_dir.glob("*.tmp"))


def test_missing_checkpoint_is_an_error(capsys, tmp_path):
    error = _evaluate_error(capsys, "--path", tmp_path / "absent.pt")
    assert f"--path {tmp_path / 'absent.pt'}: no such file" in error
