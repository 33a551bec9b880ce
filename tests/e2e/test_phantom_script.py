"""run_scripts/phantoms.sh: the commands that it would run."""

from __future__ import annotations

import pytest
from script_commands import ROOT, dry_run, start_script

SCRIPT = ROOT / "run_scripts" / "phantoms.sh"
TASKS = {
    "classify": "image_classify",
    "vqa": "vqa_gen",
    "caption": "caption",
    "nli": "mnli",
    "summary": "gigaword",
    "detection": "detection",
    "grounding": "visual_grounding",
}


@pytest.mark.parametrize(("kind", "task"), TASKS.items())
def test_every_task_is_drawn_trained_and_evaluated(kind, task, tmp_path) -> None:
    lines = dry_run(SCRIPT, kind, RUN_DIR=str(tmp_path), GPUS="0")
    drawn, vocabulary, trained, evaluated = lines
    assert f"biomedgpt phantoms --task {kind} --output {tmp_path}/data " in drawn
    assert f"biomedgpt vocab train {tmp_path}/data/" in vocabulary
    assert f" --task {task} --arch ofa_micro " in trained
    assert f"{tmp_path}/data/test.tsv" in evaluated


def test_start_from_another_run_changes_nothing_else(tmp_path) -> None:
    settings = {"RUN_DIR": str(tmp_path), "GPUS": "0", "BPE_DIR": str(tmp_path / "vocabulary")}
    scratch = dry_run(SCRIPT, "nli", **settings)
    started = dry_run(SCRIPT, "nli", RESTORE="summary.pt", **settings)
    trained, other = (
        next(line for line in lines if "fairseq-train" in line) for lines in (scratch, started)
    )
    restore = "--restore-file summary.pt --reset-optimizer --reset-dataloader --reset-meters "
    assert other.replace(restore, "") == trained


def test_unknown_task_is_an_error_that_lists_the_tasks() -> None:
    done = start_script(SCRIPT, "segment")
    assert done.returncode != 0
    assert "name the task: classify, vqa, caption" in done.stderr
