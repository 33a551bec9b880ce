"""Table rows of finished runs."""

from __future__ import annotations

import json

import pytest

from benchmarks.result_table import exact_match, main, pooled_row, table_row


def write_run(folder, task, metrics):
    (folder / "results").mkdir(parents=True)
    values = {
        name: {"value": v, "low": v - 0.1, "high": v + 0.1, "rows": 60}
        for name, v in metrics.items()
    }
    text = json.dumps({"task": task, "metrics": values})
    (folder / "results" / "metrics.json").write_text(text)
    return folder


def test_texts_match_without_case_hyphens_and_runs_of_spaces(tmp_path):
    rows = [("Right-sided  effusion.", "right sided effusion."), ("clear", "not clear")]
    lines = [json.dumps({"answer": answer, "gold": gold}) for answer, gold in rows]
    (tmp_path / "predictions.jsonl").write_text("\n".join(lines) + "\n")
    assert exact_match(tmp_path / "predictions.jsonl") == 0.5


def test_row_has_metric_floors_memory_and_minutes(tmp_path):
    run = write_run(tmp_path / "meqsum", "gigaword", {"rouge1 F1": 0.5, "rougeL F1": 0.4})
    floors = {"constant": {"rouge1 F1": {"value": 0.2}, "rougeL F1": {"value": 0.3}}}
    (run / "floors.json").write_text(json.dumps(floors))
    (run / "seconds.txt").write_text("240 90.0 30.0\n")
    memory = run / "memory" / "results_train"
    memory.mkdir(parents=True)
    (memory / "predictions.jsonl").write_text(json.dumps({"answer": "a", "gold": "A"}) + "\n")
    assert table_row(run) == [
        "meqsum",
        "rougeL F1",
        "60",
        "0.400 [0.300, 0.500]",
        "constant 0.300",
        "1.000",
        "2.0",
        "4.0",
    ]


@pytest.mark.parametrize(("task", "name"), [("mnli", "acc"), ("vqa_gen", "vqa_score")])
def test_unfinished_parts_leave_their_cells_empty(tmp_path, capsys, task, name):
    run = write_run(tmp_path / "run", task, {name: 0.75, "exact": 0.5})
    assert main([str(run)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"| run | {name} | 60 | 0.750 [0.650, 0.850] |  |  |  |  |"


def test_folds_are_one_row_weighted_by_their_rows(tmp_path):
    runs = []
    for fold, (right, floor, seconds) in enumerate([([1, 1, 0], 0.5, 60), ([1], 0.9, 120)]):
        run = write_run(tmp_path / str(fold), "image_classify", {"score": 0.1})
        lines = [json.dumps({"answer": "a", "gold": "a", "correct": c}) for c in right]
        (run / "results" / "predictions.jsonl").write_text("\n".join(lines) + "\n")
        (run / "floors.json").write_text(json.dumps({"constant": {"score": {"value": floor}}}))
        (run / "seconds.txt").write_text(f"{2 * seconds} {seconds} 0\n")
        runs.append(run)
    cells = pooled_row("organ", runs)
    assert cells[:3] == ["organ", "score", "4"]
    assert cells[3].startswith("0.750 [")
    assert cells[4:] == ["constant 0.600", "", "3.0", "6.0"]
