"""fairseq's five programs, as a user types them, in fresh processes."""

import json
import re

import pytest
from e2e_commands import PLUGIN, call, jsonl, train_command

from biomedgpt_fairseq.cli.main import main as biomedgpt

EVALUATION = ["--user-dir", PLUGIN, "--cpu", "--batch-size", "4"]
SEARCH = ["--beam", "3", "--max-len-b", "12"]

pytestmark = pytest.mark.slow


def _logged(text, name):
    """Value of a metric in the last line about a validation subset."""
    lines = [line for line in text.split("\n") if "valid on " in line and f"| {name} " in line]
    assert lines, text[-3000:]
    return float(re.search(rf"\| {name} (\S+)", lines[-1])[1])


def _decoded(text):
    """Row id -> best hypothesis in the output of generate or interactive."""
    found = {}
    for line in text.split("\n"):
        if line.startswith("D-"):
            row, _, hypothesis = line[2:].split("\t")
            found.setdefault(row, hypothesis.strip())
    return found


def test_train_then_validate_gives_the_same_loss_and_scores(corpus, tmp_path):
    command = train_command(corpus, "image_classify", tmp_path / "run", "--max-update", "2")
    trained = call(command)
    data = corpus.task_options("image_classify")
    # The package by name, from a folder where it is not.
    by_name = ["--user-dir", "biomedgpt_fairseq", *EVALUATION[2:]]
    path = tmp_path / "run" / "checkpoint_last.pt"
    checked = call(["fairseq-validate", *data, *by_name, "--path", path])
    for name in ("loss", "score", "auc", "weighted_f1"):
        assert _logged(trained.text, name) == pytest.approx(_logged(checked.text, name), abs=1e-3)


@pytest.mark.parametrize("task", ["gigaword", "vqa_gen"])
def test_generate_finds_the_hypotheses_of_evaluate(task, corpus, trained, tmp_path):
    data = corpus.task_options(task)
    generated = call(
        ["fairseq-generate", *data, *EVALUATION, *SEARCH, "--path", trained[task]]
        + ["--gen-subset", "test"]
    )
    search = json.dumps({"beam": 3, "max_len_b": 12})
    beam = ["--beam-search-vqa-eval"] if task == "vqa_gen" else []
    evaluate = ["evaluate", "--path", str(trained[task]), "--results-path", str(tmp_path), "--cpu"]
    assert biomedgpt([*evaluate, "--eval-args", search, "--no-report", *beam]) == 0
    wanted = {row["id"]: row["answer"] for row in jsonl(tmp_path / "predictions.jsonl")}
    assert len(wanted) == 5
    assert _decoded(generated.out) == wanted


def test_interactive_summarises_lines_of_standard_input(corpus, trained, tmp_path):
    rows = (corpus.folder / "gigaword" / "valid.tsv").read_text("utf-8").splitlines()
    data = corpus.task_options("gigaword")
    # Buffers smaller than the input: ids go on counting.
    options = [*EVALUATION[:3], "--buffer-size", "3", "--batch-size", "2", *SEARCH]
    spoken = call(
        ["fairseq-interactive", *data, *options, "--path", trained["gigaword"]],
        stdin="".join(row.split("\t")[0] + "\n" for row in rows),
    )
    search = json.dumps({"beam": 3, "max_len_b": 12})
    evaluate = ["evaluate", "--path", str(trained["gigaword"]), "--results-path", str(tmp_path)]
    assert biomedgpt([*evaluate, "--cpu", "--eval-args", search, "--no-report"]) == 0
    wanted = [row["answer"] for row in jsonl(tmp_path / "predictions.jsonl")]
    assert len(wanted) == 5
    assert _decoded(spoken.out) == {str(i): answer for i, answer in enumerate(wanted)}


def test_hydra_train_reads_a_yaml_file(corpus, tmp_path):
    data, *options = corpus.task_options("image_classify")
    task = {"data": data, **dict(zip(options[::2], options[1::2], strict=True))}
    lines = [
        "# @package _group_",
        f"common: {{cpu: true, log_format: simple, log_interval: 1, user_dir: {PLUGIN}}}",
        "distributed_training: {distributed_world_size: 1}",
        f"checkpoint: {{save_dir: {tmp_path / 'run'}, no_epoch_checkpoints: true}}",
        "dataset: {batch_size: 4, num_workers: 0}",
        "optimization: {max_update: 2, lr: [0.001], clip_norm: 1.0}",
        "criterion: {_name: adjust_label_smoothed_cross_entropy}",
        "optimizer: {_name: adam, adam_betas: '(0.9,0.999)', weight_decay: 0.01}",
        "lr_scheduler: {_name: polynomial_decay}",
        "model: {_name: ofa_micro, scale_attn: true, scale_fc: true, scale_heads: true,",
        "  disable_entangle: true}",
        "task:",
    ]
    for option, value in task.items():
        name = {"--task": "_name"}.get(option, option.removeprefix("--").replace("-", "_"))
        lines.append(f"  {name}: {value if value.isdigit() else json.dumps(value)}")
    (tmp_path / "micro.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    call(
        ["fairseq-hydra-train", "--config-dir", tmp_path, "--config-name", "micro"]
        + [f"hydra.run.dir={tmp_path / 'hydra'}"]
    )
    assert (tmp_path / "run" / "checkpoint_last.pt").is_file()


@pytest.mark.parametrize("first", [True, False])
def test_user_dir_works_before_and_after_an_import(first):
    import_plugin = "import biomedgpt_fairseq\n" if first else ""
    names = "{'vqa_gen', 'image_classify', 'mnli', 'gigaword'}"
    program = (
        f"{import_plugin}from argparse import Namespace\nfrom fairseq import tasks, utils\n"
        f"utils.import_user_module(Namespace(user_dir={str(PLUGIN)!r}))\n"
        "import biomedgpt_fairseq\n"
        f"print(sorted({names} & set(tasks.TASK_REGISTRY)))"
    )
    done = call(["python", "-c", program])
    assert "['gigaword', 'image_classify', 'mnli', 'vqa_gen']" in done.out
