"""`biomedgpt evaluate` and `biomedgpt predict` on trained checkpoints."""

import base64
import json
import re

import pytest
import torch
from e2e_commands import jsonl, read_checkpoint, train_command, train_here

from biomedgpt_fairseq.cli.main import main as biomedgpt

FILES = {"predictions.jsonl", "metrics.json", "record.json", "report.html", "test_predict.json"}
# Long texts of a hardly trained model are so nearly alike that rounding decides between them.
SHORT = ["--eval-args", '{"beam": 3, "max_len_b": 6}']


def _evaluate(path, folder, *options):
    """Predictions of an evaluation by row id."""
    command = ["evaluate", "--path", path, "--results-path", folder, "--cpu", *options]
    if "--report" in command:
        command.remove("--report")
    else:
        command.append("--no-report")
    assert biomedgpt([str(word) for word in command]) == 0
    return {row["id"]: row for row in jsonl(folder / "predictions.jsonl")}


def _scores(predictions):
    return {row_id: row["score"] for row_id, row in predictions.items()}


def _metrics(folder):
    content = json.loads((folder / "metrics.json").read_text("utf-8"))
    return {name: metric["value"] for name, metric in content["metrics"].items()}


def test_files_and_their_record(trained, tmp_path):
    _evaluate(trained["image_classify"], tmp_path, "--report")
    assert {path.name for path in tmp_path.iterdir()} == FILES
    record = json.loads((tmp_path / "record.json").read_text("utf-8"))
    assert record["checkpoints"][0]["path"] == str(trained["image_classify"])


@pytest.mark.parametrize(
    ("task", "metric"), [("image_classify", "score"), ("vqa_gen", "vqa_score"), ("mnli", "acc")]
)
def test_metric_is_that_of_the_training_log(task, metric, corpus, tmp_path):
    log = train_here(train_command(corpus, task, tmp_path / "run", "--max-update", "3"))
    logged = re.findall(rf"valid on 'valid' subset .*\| {metric} (\S+)", log)
    _evaluate(tmp_path / "run" / "checkpoint_last.pt", tmp_path / "results")
    assert _metrics(tmp_path / "results")[metric] == pytest.approx(float(logged[-1]), abs=1e-3)


@pytest.mark.parametrize("task", ["vqa_gen", "gigaword"])
def test_predictions_do_not_depend_on_batches_and_workers(task, trained, tmp_path):
    short = SHORT if task == "gigaword" else []
    wanted = _evaluate(trained[task], tmp_path, "--batch-size", "1", *short)
    assert len(wanted) == 5
    found = _evaluate(trained[task], tmp_path, "--batch-size", "4", "--num-workers", "1", *short)
    assert [row["answer"] for row in found.values()] == [row["answer"] for row in wanted.values()]
    assert _scores(found) == pytest.approx(_scores(wanted), abs=1e-5)


def test_ema_eval_uses_the_averaged_weights(trained, tmp_path):
    state = read_checkpoint(trained["vqa_gen"])
    state["model"] = state["extra_state"]["ema"]
    torch.save(state, tmp_path / "averaged.pt")
    wanted = _evaluate(tmp_path / "averaged.pt", tmp_path / "results")
    averaged = _evaluate(trained["vqa_gen"], tmp_path / "results", "--ema-eval")
    plain = _evaluate(trained["vqa_gen"], tmp_path / "results")
    assert averaged == wanted
    assert _scores(averaged) != pytest.approx(_scores(plain), abs=1e-4)
    assert (
        json.loads((tmp_path / "results" / "record.json").read_text())["averaged_weights"] is False
    )


def test_ema_eval_without_averaged_weights_is_an_error(trained, tmp_path, capsys):
    state = read_checkpoint(trained["vqa_gen"])
    del state["extra_state"]["ema"]
    torch.save(state, tmp_path / "plain.pt")
    command = ["evaluate", "--path", str(tmp_path / "plain.pt"), "--ema-eval", "--cpu"]
    assert biomedgpt([*command, "--results-path", str(tmp_path / "results")]) == 2
    assert "plain.pt: no averaged weights" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_search_with_a_wide_beam_finds_the_best_candidate(trained, tmp_path):
    wanted = _evaluate(trained["vqa_gen"], tmp_path)
    search = json.dumps({"beam": 60, "unnormalized": True, "max_len_b": 30})
    options = ["--beam-search-vqa-eval", "--eval-args", search]
    found = _evaluate(trained["vqa_gen"], tmp_path, *options)
    assert {i: row["answer"] for i, row in found.items()} == {
        i: row["answer"] for i, row in wanted.items()
    }
    assert _scores(found) == pytest.approx(_scores(wanted), abs=1e-4)


def test_zero_shot_answers_freely(trained, tmp_path):
    allowed = ["brain", "mass"]
    overrides = json.dumps({"ans2label_file": None, "ans2label_dict": json.dumps(allowed)})
    options = ["--model-overrides", overrides]
    closed = _evaluate(trained["vqa_gen"], tmp_path, *options)
    assert {row["answer"] for row in closed.values()} <= set(allowed)
    free = _evaluate(trained["vqa_gen"], tmp_path, *options, "--zero-shot", "--report")
    assert len(free) == 5
    assert not {row["answer"] for row in free.values()} <= set(allowed)
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize("form", [json.dumps, repr])
def test_model_overrides_replace_saved_options(form, corpus, trained, tmp_path):
    data = str(corpus.folder / "vqa_gen" / "train.tsv")
    overrides = {"data": data, "valid_batch_size": 2}
    path = trained["vqa_gen"]
    found = _evaluate(path, tmp_path, "--model-overrides", form(overrides))
    assert len(found) == 8
    wanted = _evaluate(path, tmp_path, data)
    assert _scores(found) == pytest.approx(_scores(wanted), abs=1e-5)


def test_ensemble_of_twins_is_one_model_and_order_does_not_matter(trained, tmp_path):
    one = trained["vqa_gen"]
    state = read_checkpoint(one)
    state["model"] = state["extra_state"]["ema"]
    other = tmp_path / "other.pt"
    torch.save(state, other)
    alone, twins, pair, turned = (
        _scores(_evaluate(path, tmp_path))
        for path in (one, f"{one}:{one}", f"{one}:{other}", f"{other}:{one}")
    )
    assert twins == pytest.approx(alone, abs=1e-5)
    assert pair == pytest.approx(turned, abs=1e-5)
    assert pair != pytest.approx(alone, abs=1e-4)


def test_limit_evaluates_the_first_rows(trained, tmp_path):
    every = _evaluate(trained["vqa_gen"], tmp_path)
    some = _evaluate(trained["vqa_gen"], tmp_path, "--limit", "2")
    assert list(some) == list(every)[:2]


def _predict(capsys, path, *options):
    capsys.readouterr()
    command = ["predict", "--path", path, "--cpu", *options]
    assert biomedgpt([str(word) for word in command]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def _row(corpus, task):
    return (corpus.folder / task / "valid.tsv").read_text("utf-8").splitlines()[1].split("\t")


def test_predict_answers_about_a_picture_as_evaluate_does(corpus, trained, tmp_path, capsys):
    picture = tmp_path / "picture.png"
    picture.write_bytes(base64.b64decode(_row(corpus, "image_classify")[0]))
    wanted = _evaluate(trained["image_classify"], tmp_path)["1"]
    (found,) = _predict(capsys, trained["image_classify"], "--image", picture, "--top-k", "3")
    assert found["answer"] == wanted["answer"]
    assert found["score"] == pytest.approx(wanted["score"], abs=1e-5)
    assert len(found["candidates"]) == 3


def test_predict_answers_a_question_as_evaluate_does(corpus, trained, tmp_path, capsys):
    row_id, _, question, *_ = row = _row(corpus, "vqa_gen")
    picture = tmp_path / "picture.png"
    picture.write_bytes(base64.b64decode(row[5]))
    wanted = _evaluate(trained["vqa_gen"], tmp_path)[row_id]
    options = ["--image", picture, "--question", question]
    (found,) = _predict(capsys, trained["vqa_gen"], *options)
    assert found["answer"] == wanted["answer"]
    assert found["score"] == pytest.approx(wanted["score"], abs=1e-5)


def test_predict_reads_texts_and_tables(corpus, trained, tmp_path, capsys):
    wanted = _evaluate(trained["gigaword"], tmp_path, *SHORT)
    text = _row(corpus, "gigaword")[0]
    (found,) = _predict(capsys, trained["gigaword"], "--text", text, *SHORT)
    assert found["answer"] == wanted["1"]["answer"]
    table = corpus.folder / "gigaword" / "valid.tsv"
    options = ["--input", table, "--batch-size", "2", *SHORT]
    several = _predict(capsys, trained["gigaword"], *options)
    assert [row["answer"] for row in several] == [row["answer"] for row in wanted.values()]
