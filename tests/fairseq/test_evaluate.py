import json
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from biomedgpt_fairseq import fairseq_evaluate  # noqa: E402
from biomedgpt_fairseq.cli.main import main as biomedgpt  # noqa: E402
from biomedgpt_fairseq.fairseq_loading import LoadRequest, load  # noqa: E402
from biomedgpt_fairseq.models.fairseq_model import OfaModel  # noqa: E402
from biomedgpt_fairseq.text.compact import train_compact_vocabulary  # noqa: E402
from biomedgpt_fairseq.text.tokenizer import load_tokenizer  # noqa: E402

MODEL = {"arch": "ofa_micro", "scale_attn": True, "scale_fc": True, "scale_heads": True}
KINDS = {
    "vqa_gen": "vqa",
    "image_classify": "classify",
    "gigaword": "summary",
    "mnli": "nli",
    "caption": "caption",
}
COLUMNS = {
    "vqa_gen": "0,5,2,3,4",
    "image_classify": "0,2",
    "gigaword": "0,1",
    "mnli": "0,1,2",
    "caption": "1,4,2",
}
ROWS = 7


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test rows of every task, a vocabulary, and checkpoints with random weights."""
    root = tmp_path_factory.mktemp("evaluate")
    texts: list[str] = []
    for task, kind in KINDS.items():
        command = ["phantoms", "--task", kind, "--output", str(root / task), "--size", "32"]
        assert biomedgpt([*command, "--train", "4", "--valid", "4", "--test", str(ROWS)]) == 0
        texts += (root / task / "corpus.txt").read_text("utf-8").split("\n")
    train_compact_vocabulary(texts, 400, root / "bpe")
    for task in KINDS:
        save_checkpoint(root, task, root / f"{task}.pt")
    return root


def save_checkpoint(root: Path, task: str, path: Path, seed: int = 1, ema: bool = False) -> None:
    bpe_dir = str(root / "bpe")
    torch.manual_seed(seed)
    model = OfaModel.from_options(MODEL, len(load_tokenizer(bpe_dir, 0, 0).vocab))
    for value in model.parameters():
        # The initial weights answer alike whatever they see.
        value.data += 0.2 * torch.randn_like(value)
    options: dict[str, Any] = {
        "task": task,
        "data": f"train.tsv,{root / task / 'test.tsv'}",
        "bpe_dir": bpe_dir,
        "code_dict_size": 0,
        "num_bins": 0,
        "patch_image_size": 32,
        "selected_cols": COLUMNS[task],
        "eval_args": '{"beam": 2, "max_len_b": 4, "unnormalized": true}',
    }
    if task in ("vqa_gen", "image_classify"):
        options["ans2label_file"] = str(root / task / "answers.json")
    cfg = {"task": {**options, "_name": task}, "model": MODEL}
    content: dict[str, Any] = {"args": None, "cfg": cfg, "model": model.state_dict()}
    if ema:
        averaged = {k: v + 1 for k, v in model.state_dict().items() if v.is_floating_point()}
        content["extra_state"] = {"ema": averaged}
    torch.save(content, path)


def evaluate(folder: Path, out: Path, *options: str, path: str = "vqa_gen.pt") -> int:
    paths = ":".join(str(folder / name) for name in path.split(":"))
    fixed = ["--path", paths, "--results-path", str(out), "--cpu"]
    return biomedgpt(["evaluate", *fixed, *options])


def lines(out: Path) -> list[dict[str, Any]]:
    text = (out / "predictions.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def ids_of_file(folder: Path) -> list[str]:
    rows = (folder / "vqa_gen" / "test.tsv").read_text("utf-8").splitlines()
    return [row.split("\t")[0] for row in rows]


def test_files_of_an_evaluation(folder: Path, tmp_path: Path) -> None:
    assert evaluate(folder, tmp_path) == 0
    assert {p.name for p in tmp_path.iterdir()} == {
        "predictions.jsonl",
        "metrics.json",
        "record.json",
        "test_predict.json",
        "report.html",
    }
    assert [line["id"] for line in lines(tmp_path)] == ids_of_file(folder)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    mean = sum(line["correct"] for line in lines(tmp_path)) / ROWS
    assert metrics["metrics"]["vqa_score"]["value"] == pytest.approx(mean)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["rows"] == ROWS and record["seed"] == 7 and len(record["data"]["sha256"]) == 64
    assert record["task_options"]["patch_image_size"] == 32
    released = json.loads((tmp_path / "test_predict.json").read_text())
    answers = [line["answer"] for line in lines(tmp_path)]
    assert [r["answer"] for r in released] == answers
    assert [str(r["question_id"]) for r in released] == ids_of_file(folder)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "data:image/png;base64," in page and record["data"]["sha256"] in page


def test_repeated_run_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    before = [evaluate(folder, tmp_path), *contents(tmp_path)]
    assert [evaluate(folder, tmp_path), *contents(tmp_path)] == before


def contents(out: Path) -> list[bytes]:
    return [p.read_bytes() for p in sorted(out.iterdir()) if p.name != "record.json"]


def test_batch_size_does_not_change_the_answers(folder: Path, tmp_path: Path) -> None:
    found = []
    for size in ("1", "3"):
        evaluate(folder, tmp_path, "--batch-size", size, "--no-report")
        found.append(lines(tmp_path))
    for one, three in zip(*found, strict=True):
        assert one["answer"] == three["answer"]
        assert one["score"] == pytest.approx(three["score"], abs=1e-4)


def test_limit_and_subset_name(folder: Path, tmp_path: Path) -> None:
    evaluate(folder, tmp_path, "--limit", "3", "--gen-subset", "first", "--no-report")
    assert [line["id"] for line in lines(tmp_path)] == ids_of_file(folder)[:3]
    assert (tmp_path / "first_predict.json").is_file()
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("task", ["image_classify", "gigaword", "mnli"])
def test_other_tasks(folder: Path, tmp_path: Path, task: str) -> None:
    assert evaluate(folder, tmp_path, path=f"{task}.pt") == 0
    assert len(lines(tmp_path)) == ROWS
    metrics = json.loads((tmp_path / "metrics.json").read_text())["metrics"]
    assert {"image_classify": "score", "gigaword": "rougeL F1", "mnli": "acc"}[task] in metrics


def test_captions_are_scored_by_the_coco_evaluation(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pycocoevalcap.bleu.bleu_scorer")
    assert evaluate(folder, tmp_path, "--no-meteor", path="caption.pt") == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())["metrics"]
    assert {"BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr", "CIDEr-D"} < set(metrics)
    assert metrics["CIDEr"]["source"].startswith("pycocoevalcap, ")
    assert "METEOR" not in metrics
    for line in lines(tmp_path):
        assert line["correct"] == line["scores"]["rougeL F1"]
    assert "pycocoevalcap, " in (tmp_path / "report.html").read_text("utf-8")


def test_ensemble_of_equals_is_the_model_itself(folder: Path, tmp_path: Path) -> None:
    evaluate(folder, tmp_path / "one", "--no-report")
    evaluate(folder, tmp_path / "two", "--no-report", path="vqa_gen.pt:vqa_gen.pt")
    for one, two in zip(lines(tmp_path / "one"), lines(tmp_path / "two"), strict=True):
        assert one["answer"] == two["answer"]
        assert one["score"] == pytest.approx(two["score"], abs=1e-5)


def test_averaged_weights(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "ema.pt"
    save_checkpoint(folder, "vqa_gen", path, ema=True)
    plain, averaged = (
        load(LoadRequest([str(path)], ema=ema)).models[0].state_dict() for ema in (False, True)
    )
    name = "encoder.layers.0.fc1.weight"
    torch.testing.assert_close(averaged[name], plain[name] + 1)


def test_averaged_weights_that_are_missing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folder, tmp_path, "--ema-eval") == 2
    assert "no averaged weights" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_beam_search_finds_answers_of_the_set(folder: Path, tmp_path: Path) -> None:
    evaluate(folder, tmp_path, "--beam-search-vqa-eval", "--no-report")
    answers = json.loads((folder / "vqa_gen" / "answers.json").read_text())
    assert {line["answer"] for line in lines(tmp_path)} <= set(answers)


def test_zero_shot_has_no_answer_list_and_no_prompt(folder: Path) -> None:
    for task in ("vqa_gen", "image_classify"):
        loaded = load(LoadRequest([str(folder / f"{task}.pt")], zero_shot=True))
        assert loaded.task_name == "vqa_gen"
        assert loaded.task.answers is None and loaded.task.trie is None
        assert loaded.task_options.prompt_type == "none"
        assert json.loads(loaded.task_options.eval_args)["zero_shot"] is True


def test_search_flags_are_for_questions(folder: Path) -> None:
    with pytest.raises(ValueError, match="vqa_gen"):
        load(LoadRequest([str(folder / "mnli.pt")], search=True))


def test_lost_rows_are_noticed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = load(LoadRequest([str(folder / "vqa_gen.pt")]))
    predict = real.task.predict
    monkeypatch.setattr(real.task, "predict", lambda models, batch: predict(models, batch)[:-1])
    monkeypatch.setattr(fairseq_evaluate, "load", lambda request: real)
    with pytest.raises(RuntimeError, match="lost"):
        evaluate(folder, tmp_path)


def test_unreadable_row_stops_the_evaluation(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.tsv"
    bad.write_text("1\tx\tis it?\t1.0|!+yes\t\tno-picture\n")
    overrides = '--model-overrides={"on_bad_row": "skip"}'
    assert evaluate(folder, tmp_path, str(bad), overrides) == 2
    assert "bad.tsv" in capsys.readouterr().err


def predict(
    folder: Path, capsys: pytest.CaptureFixture[str], task: str, *options: str
) -> list[dict[str, Any]]:
    capsys.readouterr()
    path = str(folder / f"{task}.pt")
    assert biomedgpt(["predict", "--path", path, "--cpu", *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_prediction_is_that_of_the_evaluation(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(folder, tmp_path, "--no-report")
    # The user's rows have no answers: id, picture, question.
    rows = (folder / "vqa_gen" / "test.tsv").read_text("utf-8").splitlines()
    cells = [row.split("\t") for row in rows]
    table = tmp_path / "rows.tsv"
    table.write_text("".join(f"{c[0]}\t{c[5]}\t{c[2]}\n" for c in cells), "utf-8")
    found = predict(folder, capsys, "vqa_gen", "--input", str(table), "--top-k", "2")
    for line, expected in zip(found, lines(tmp_path), strict=True):
        assert (line["id"], line["answer"]) == (expected["id"], expected["answer"])
        assert line["score"] == pytest.approx(expected["score"], abs=1e-4)
        first, second = line["candidates"]
        assert first["probability"] >= second["probability"]


def test_prediction_of_one_picture_and_of_texts(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    picture = tmp_path / "x.png"
    Image.new("L", (40, 30), 90).save(picture)
    question = ("--image", str(picture), "--question", "is there a mass?")
    assert predict(folder, capsys, "vqa_gen", *question)[0]["id"] == "x.png"
    assert len(predict(folder, capsys, "image_classify", "--image", str(picture))) == 1
    summary = predict(folder, capsys, "gigaword", "--text", "a long\ttext\nof two lines")[0]
    assert 1 <= len(summary["candidates"]) <= 2
    pair = predict(folder, capsys, "mnli", "--text", "a", "--text", "b")[0]
    assert pair["answer"] in {"yes", "no", "maybe"} and len(pair["candidates"]) == 3


@pytest.mark.parametrize(
    ("task", "options", "complaint"),
    [
        ("vqa_gen", ["--text", "a"], "--image"),
        ("mnli", ["--text", "a"], "--text"),
        ("gigaword", ["--text", "a", "--text", "b"], "only"),
        ("image_classify", ["--image", "absent.png"], "absent.png"),
    ],
)
def test_what_a_task_cannot_answer(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    task: str,
    options: list[str],
    complaint: str,
) -> None:
    assert biomedgpt(["predict", "--path", str(folder / f"{task}.pt"), "--cpu", *options]) == 2
    assert complaint in capsys.readouterr().err
