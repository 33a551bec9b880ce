"""Every command of the README and of docs/ runs as it is printed."""

from __future__ import annotations

import base64
import contextlib
import os
import pickle
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from box_look_alikes import make_box_checkpoints
from e2e_commands import ROOT, train_command, train_here
from infill_look_alikes import make_infill_folder, save_tokenizer
from PIL import Image

from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.phantoms.rows import RowOptions, make_infill_row

# add_a_task.md is one story, whose commands need those before them: test_add_a_task.py.
PAGES = [ROOT / "README.md"]
PAGES += [page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "add_a_task.md"]
ELSEWHERE = {
    "bash run_scripts/quickstart.sh": "test_run_scripts.py runs it on fewer rows",
    "bash run_scripts/test.sh": "runs this test",
    "pip install": "test_engine_build.py builds what it installs",
    "python -m benchmarks --json": "takes half an hour; test_all_benchmarks.py, with --quick",
    "python -m benchmarks.cost_curves": "test_cost_curves.py runs it on a small network",
    "python -m benchmarks.bench_data": "test_bench_data.py runs it on few rows",
    "python -m benchmarks.bench_decoding": "test_decoding_benchmark.py runs it on a small network",
    "python -m benchmarks.box_floors": "test_box_floors.py runs it on few rows",
    "python -m benchmarks.bench_scale": "test_bench_scale.py runs it on few rows",
    "python -m tests.soak.killed_training": "takes minutes; tests/soak/test_soak.py, two kills",
    "python -m tests.soak.leaks": "takes minutes; tests/soak/test_soak.py, 60 updates",
    "python -m tests.fuzz.run": "takes minutes; tests/fuzz/test_fuzz.py, 2,000 cases",
    "biomedgpt image-codes train": "takes minutes; tests/unit/cli/test_image_codes.py, two steps",
    "biomedgpt vocab download": "needs a network; tests/unit/text/test_download.py serves the file",
}
# Words of commands that need other models, and the fixture of these.
MODELS = {
    "biomedgpt infill": "pretrained",
    "detection.pt": "box_checkpoints",
    "grounding.pt": "box_checkpoints",
}
FENCE = re.compile(r"```bash\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`((?:python -m data_utils\.|biomedgpt |[A-Z_]+=\S+ bash )[^`]+)`")


def commands_of(page: Path) -> list[str]:
    text = page.read_text("utf-8")
    lines = [
        line for block in FENCE.findall(text) for line in block.replace("\\\n", "").split("\n")
    ]
    # A name alone, such as `biomedgpt vocab train`, is a mention.
    inline = [found for found in INLINE.findall(text) if " --" in found]
    return [line.strip() for line in (*lines, *inline) if line.strip() and not line.startswith("#")]


ALL = [(page.name, command) for page in PAGES for command in commands_of(page)]


@pytest.fixture(scope="module")
def checkpoints(corpus, trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mnli")
    train_here(train_command(corpus, "mnli", folder, "--max-update", "1"))
    return {**trained, "mnli": folder / "checkpoint_last.pt"}


def choose_task(command: str) -> str:
    """The task whose files the command is about."""
    if "--text" in command and "predict" in command and "--image" not in command:
        return "mnli"
    about_answers = "--question" in command or "--column" in command or "answer_map" in command
    return "vqa_gen" if about_answers or "text-columns" in command else "image_classify"


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory) -> Path:
    """A folder with what the page on infilling names."""
    folder = make_infill_folder(tmp_path_factory.mktemp("pretrained"))
    save_tokenizer(folder / "tokenizer.safetensors")
    (folder / "text.tsv").rename(folder / "notes.tsv")
    return folder


@pytest.fixture(scope="module")
def box_checkpoints(tmp_path_factory) -> Path:
    """A folder with what the page on boxes names."""
    return make_box_checkpoints(tmp_path_factory.mktemp("boxes"))


@pytest.fixture
def workspace(tmp_path, corpus, checkpoints, request):
    """A folder with the files that the documents name."""
    command = request.getfixturevalue("command")
    task = choose_task(command)
    folders = ("benchmarks", "biomedgpt_fairseq", "data_utils", "docs", "run_scripts")
    for name in (*folders, "README.md"):
        (tmp_path / name).symlink_to(ROOT / name)
    rows = (corpus.folder / task / "train.tsv").read_text("utf-8").splitlines(keepends=True)
    for name, share in (("train", rows[:5]), ("test", rows[5:]), ("rows", rows[5:])):
        (tmp_path / f"{name}.tsv").write_text("".join(share), encoding="utf-8")
    shutil.copy(corpus.folder / task / "valid.tsv", tmp_path / "valid.tsv")
    (tmp_path / "checkpoints").mkdir()
    for target in ("checkpoint_best.pt", "checkpoints/checkpoint_best.pt"):
        shutil.copy(checkpoints[task], tmp_path / target)
    shutil.copytree(corpus.vocabulary, tmp_path / "vocab_small")
    if command.startswith("biomedgpt image-codes"):
        rows = ["\t".join(make_infill_row(RowOptions(seed=1), row)) for row in range(2)]
        (tmp_path / "image.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for words, made in MODELS.items():
        for file in request.getfixturevalue(made).glob("*.*") if words in command else ():
            (tmp_path / file.name).unlink(missing_ok=True)
            (tmp_path / file.name).symlink_to(file)
    rng = np.random.default_rng(3)
    make_pictures(tmp_path, rng)
    if request.getfixturevalue("page") == "data_at_scale.md":
        make_shards(tmp_path)
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = rng.integers(0, 255, (4, 28, 28), np.uint8)
        arrays[f"{split}_labels"] = np.array([[0], [1], [0], [1]], np.uint8)
    np.savez(tmp_path / "pneumoniamnist.npz", **arrays)
    (tmp_path / "trainval_ans2label.pkl").write_bytes(pickle.dumps({"yes": 0, "no": 1}))
    frequencies = {"ref_len": 2.0, "document_frequency": {("a", "mass"): 1.0}}
    (tmp_path / "coco-train-words.p").write_bytes(pickle.dumps(frequencies))
    (tmp_path / "sites.csv").write_text("id,site,sex\n0,A,f\n1,B,m\n2,A,f\n")
    return tmp_path


def make_shards(folder: Path) -> None:
    """Texts, as a corpus, in shards and joined, and a file of pictures."""
    program = ["python", "-m", "data_utils.pretraining.texts", "sentences", "sentences"]
    program += ["--output", "texts", "--valid-share", "0", "--shards", "2", "--shard"]
    (folder / "sentences").mkdir()
    for name in "ab":
        (folder / "sentences" / f"{name}.txt").write_text(f"Sentence {name}.\nAnother.\n")
    with contextlib.chdir(folder):
        assert [run_here([*program, shard], folder) for shard in "01"] == [0, 0]
    shutil.copy(folder / "texts" / "train-00000-of-00002.tsv", folder / "texts" / "train.tsv")
    pictures = sorted(folder.glob("pictures/*/*.png"))
    cells = [base64.b64encode(path.read_bytes()).decode() for path in pictures]
    (folder / "xrays").mkdir()
    rows = "".join(f"{number}\t{cell}\n" for number, cell in enumerate(cells))
    (folder / "xrays" / "train.tsv").write_text(rows, "utf-8")


def make_pictures(folder: Path, rng: np.random.Generator) -> None:
    rows = []
    (folder / "brain_mri").mkdir()
    for label in ("glioma", "no tumor"):
        (folder / "pictures" / label).mkdir(parents=True)
        for i, split in enumerate(("train", "train", "val", "test") * 5):
            picture = Image.fromarray(rng.integers(0, 255, (9, 8, 3), np.uint8))
            picture.save(folder / "pictures" / label / f"{i}.png")
            picture.rotate(90, expand=True).save(folder / "brain_mri" / f"{label}{i}.png")
            rows.append(f"{label}{i}.png,{label},{split}")
    picture.save(folder / "xray.png")
    (folder / "brain_mri" / "splits.csv").write_text("path,label,split\n" + "\n".join(rows) + "\n")


def run_here(words: list[str], folder: Path) -> int:
    """Run a Python program in this process, which saves its start."""
    if words[0] == "biomedgpt":
        return biomedgpt(words[1:])
    with patch.object(sys, "argv", words[2:]), pytest.raises(SystemExit) as stopped:
        runpy.run_module(words[2], run_name="__main__")
    return int(stopped.value.code or 0)


@pytest.mark.parametrize(("page", "command"), ALL, ids=[f"{p}: {c[:60]}" for p, c in ALL])
def test_command_runs_as_printed(page, command, workspace, monkeypatch, capfd, caplog):
    reason = next((why for start, why in ELSEWHERE.items() if command.startswith(start)), None)
    if reason is not None:
        pytest.skip(reason)
    monkeypatch.chdir(workspace)
    words = shlex.split(command)
    if words[0] in ("python", "biomedgpt"):
        code = run_here(words, workspace)
    else:
        # test_run_scripts.py runs the recipes themselves, on few rows.
        settings = {"VENV": str(Path(sys.executable).parent.parent), "GPUS": "0", "DRY_RUN": "1"}
        environment = {**os.environ, **settings}
        code = subprocess.run(command, shell=True, env=environment, timeout=300).returncode
    shown = capfd.readouterr()
    # Corpora behind an access agreement are not here; their converter has to say so. Where the log
    # goes depends on what this process ran before.
    absent = code == 2 and words[0] == "python" and "no such" in shown.err + caplog.text
    assert code == 0 or absent, shown.err[-3000:]


def test_python_example_of_the_vocabulary_page(corpus, tmp_path, monkeypatch):
    shutil.copytree(corpus.vocabulary, tmp_path / "vocab_small")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "vocabulary.md").read_text("utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "docs/vocabulary.md", "exec"), {})
