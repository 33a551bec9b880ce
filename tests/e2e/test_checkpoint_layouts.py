"""Other layouts of a trained checkpoint: the same answers, and a start for training."""

import json
import shutil

import pytest
from e2e_commands import largest_difference, num_updates, read_checkpoint, train_command, train_here

from biomedgpt_fairseq.cli.main import main as biomedgpt


@pytest.fixture(scope="module")
def layouts(trained, tmp_path_factory):
    """The trained classifier as a file, as folders, and as a file made from the folder."""
    folder = tmp_path_factory.mktemp("layouts")
    convert = ["checkpoint", "convert"]
    shutil.copy(trained["image_classify"], folder / "own.pt")
    steps = (
        [folder / "own.pt", folder / "hf", "--to", "huggingface", "--weights-only"],
        [folder / "own.pt", folder / "plain", "--to", "safetensors"],
        [folder / "hf", folder / "back.pt"],
    )
    for step in steps:
        assert biomedgpt([*convert, *map(str, step)]) == 0
    return folder


def test_answers_are_the_same_in_every_layout(corpus, layouts, tmp_path):
    rows = corpus.folder / "image_classify" / "valid.tsv"
    answers = {}
    for name in ("own.pt", "plain", "hf", "back.pt"):
        out = tmp_path / name
        command = ["evaluate", rows, "--path", layouts / name, "--results-path", out, "--no-report"]
        assert biomedgpt([str(word) for word in command]) == 0
        answers[name] = (out / "predictions.jsonl").read_bytes()
    assert len(answers["own.pt"].splitlines()) == 5
    assert json.loads(answers["own.pt"].splitlines()[0])
    assert len(set(answers.values())) == 1


def test_training_starts_from_a_converted_file(corpus, layouts, tmp_path):
    options = ["--restore-file", str(layouts / "back.pt"), "--max-update", "1", "--lr", "0"]
    train_here(train_command(corpus, "image_classify", tmp_path, *options))
    state = read_checkpoint(tmp_path / "checkpoint_last.pt")
    wanted = read_checkpoint(layouts / "own.pt")["model"]
    assert num_updates(state) == 1
    kept = {name: state["model"][name] for name in wanted if "embed_images" not in name}
    assert largest_difference(kept, {name: wanted[name] for name in kept}) == 0
