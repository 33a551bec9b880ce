"""Captions and text classes: train by the program, validate, evaluate and predict."""

import json
import re
from pathlib import Path

import pytest
from e2e_commands import Corpus, call, read_checkpoint, train_command, train_here

from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.text.compact import train_compact_vocabulary

TEXTS = [("the heart is big", "a murmur is heard", "sick"), ("the lungs are clear", "", "well")]
ROWS = 5
CAPTION = """
    --eval-cider --eval-bleu --init-weights bert --lr 1e-2 --batch-size-valid 2
    --patch-image-size 32 --log-format json
    --best-checkpoint-metric cider --maximize-best-checkpoint-metric
    --no-epoch-checkpoints --dropout 0 --find-unused-parameters --seed 3
"""
EVAL_ARGS = ["--eval-args", '{"beam": 2, "max_len_b": 16}']


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Captioned pictures, of which the training rows are validated too, and labelled texts."""
    folder = tmp_path_factory.mktemp("texts")
    rows = ["--train", str(ROWS), "--valid", "1", "--test", "0", "--size", "32"]
    assert (
        biomedgpt(["phantoms", "--task", "caption", "--output", str(folder / "caption"), *rows])
        == 0
    )
    captions = (folder / "caption" / "corpus.txt").read_text("utf-8").split("\n")
    lines = (folder / "caption" / "train.tsv").read_text("utf-8")
    (folder / "caption" / "valid.tsv").write_text(lines, "utf-8")
    classes = folder / "text_classify"
    classes.mkdir()
    table = "".join("\t".join(row) + "\n" for row in TEXTS * 4)
    for split in ("train", "valid"):
        (classes / f"{split}.tsv").write_text(table, "utf-8")
    (classes / "answers.json").write_text('["well", "sick"]')
    words = [cell for row in TEXTS for cell in row]
    train_compact_vocabulary(
        [*captions, *words, "what is the class of text1"], 400, folder / "vocabulary"
    )
    return Corpus(folder)


def validations(text: str) -> list[dict]:
    """Metrics of every validation, as logged."""
    return [
        json.loads(re.search(r"\{.*\}", line)[0])
        for line in text.split("\n")
        if "valid | {" in line
    ]


def caption_command(texts: Corpus, save_dir: Path, *options: str) -> list[str]:
    return train_command(texts, "caption", save_dir, *CAPTION.split(), *EVAL_ARGS, *options)


@pytest.fixture(scope="module")
def captioned(texts: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder and log of a run over several epochs."""
    save_dir = tmp_path_factory.mktemp("captioned")
    log = train_here(
        caption_command(texts, save_dir, "--max-update", "24", "--validate-interval", "6")
    )
    return save_dir, log


def evaluate(texts: Corpus, task: str, checkpoint: Path, out: Path) -> dict:
    data = f"train.tsv,{texts.folder / task / 'valid.tsv'}"
    paths = ["--path", str(checkpoint), "--results-path", str(out), "--cpu"]
    assert biomedgpt(["evaluate", data, *paths, "--no-meteor"]) == 0
    return {
        k: v["value"] for k, v in json.loads((out / "metrics.json").read_text())["metrics"].items()
    }


def test_validation_scores_are_those_of_the_whole_split(texts, captioned, tmp_path) -> None:
    save_dir, log = captioned
    last = validations(log)[-1]
    found = evaluate(texts, "caption", save_dir / "checkpoint_last.pt", tmp_path)
    assert float(last["valid_cider"]) == pytest.approx(found["CIDEr-D"], abs=1e-3)
    assert float(last["valid_bleu"]) == pytest.approx(found["BLEU"], abs=1e-2)
    assert float(last["valid_rougeL_f1"]) == pytest.approx(100 * found["rougeL F1"], abs=1e-2)
    assert found["CIDEr-D"] > 0


def test_best_checkpoint_has_the_highest_cider(captioned) -> None:
    save_dir, log = captioned
    best = read_checkpoint(save_dir / "checkpoint_best.pt")["extra_state"]["best"]
    assert best == max(float(found["valid_cider"]) for found in validations(log))


@pytest.mark.slow
def test_two_processes_log_the_scores_of_one(texts, captioned, tmp_path) -> None:
    # Three batches of two rows: in the second step one process has only padding.
    restore = ["--restore-file", str(captioned[0] / "checkpoint_last.pt"), "--max-update", "25"]
    alone = train_here(caption_command(texts, tmp_path / "one", *restore))
    halves = ["--distributed-world-size", "2", "--batch-size", "2"]
    both = call(caption_command(texts, tmp_path / "two", *restore, *halves)).text
    wanted, found = validations(alone)[-1], validations(both)[-1]
    for name in ("valid_cider", "valid_rougeL_f1", "valid_bleu"):
        assert float(found[name]) == pytest.approx(float(wanted[name]), abs=1e-3), name


def test_self_critical_training_raises_reward_and_score(texts, captioned, tmp_path) -> None:
    options = ["--criterion", "scst_reward_criterion", "--scst", "--max-update", "40"]
    options += ["--scst-args", '{"beam": 6, "max_len_b": 24, "sampling": true}', "--lr", "1e-3"]
    options += ["--restore-file", str(captioned[0] / "checkpoint_last.pt"), "--reset-optimizer"]
    options += ["--reset-meters", "--reset-dataloader", "--validate-interval", "10"]
    log = train_here(caption_command(texts, tmp_path, *options, "--batch-size", "5"))
    before, after = validations(captioned[1])[-1], validations(log)
    rewards = [float(found["valid_score"]) for found in after]
    assert rewards[0] < rewards[1] < rewards[2] < rewards[3]
    assert float(after[-1]["valid_cider"]) > float(before["valid_cider"]) + 0.3


def test_picture_is_described(texts, captioned, capsys) -> None:
    row = (texts.folder / "caption" / "valid.tsv").read_text("utf-8").split("\n")[0]
    rows = texts.folder / "pictures.tsv"
    cells = row.split("\t")
    rows.write_text(f"{cells[0]}\t{cells[4]}\n", "utf-8")
    paths = ["--path", str(captioned[0] / "checkpoint_last.pt"), "--cpu"]
    capsys.readouterr()
    assert biomedgpt(["predict", *paths, "--input", str(rows)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["id"] == cells[0] and found["answer"]


@pytest.fixture(scope="module")
def classified(texts: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Checkpoint and log of a run with the encouraging loss."""
    save_dir = tmp_path_factory.mktemp("classified")
    options = ["--max-update", "400", "--lr", "1e-3", "--log-format", "json", "--dropout", "0"]
    options += ["--patience", "6", "--no-epoch-checkpoints"]
    options += ["--criterion", "adjust_label_smoothed_encouraging_loss"]
    options += ["--best-checkpoint-metric", "score", "--maximize-best-checkpoint-metric"]
    log = train_here(train_command(texts, "text_classify", save_dir, *options))
    return save_dir / "checkpoint_best.pt", log


def test_texts_are_classified(texts, classified, tmp_path) -> None:
    checkpoint, log = classified
    best = max(float(found["valid_score"]) for found in validations(log))
    found = evaluate(texts, "text_classify", checkpoint, tmp_path)
    assert found["score"] == pytest.approx(best, abs=1e-3) and best == 1
    assert {"weighted F1", "macro F1", "AUC"} <= found.keys()
    assert (tmp_path / "report.html").is_file()


def test_training_stops_when_the_metric_of_the_task_no_longer_rises(classified) -> None:
    checkpoint, log = classified
    found = validations(log)
    scores = [float(one["valid_score"]) for one in found]
    assert "early stop since valid performance hasn't improved for last 6 runs" in log
    assert scores.index(max(scores)) == len(scores) - 7
    # By the loss, which still falls, it would have gone on.
    losses = [float(one["valid_loss"]) for one in found[-7:]]
    assert losses[-1] == min(losses) < losses[0]
    assert read_checkpoint(checkpoint)["extra_state"]["best"] == max(scores)


@pytest.mark.parametrize(("first", "second", "label"), TEXTS)
def test_texts_of_the_user_are_classified(classified, capsys, first, second, label) -> None:
    given = [word for text in (first, second) if text for word in ("--text", text)]
    capsys.readouterr()
    assert biomedgpt(["predict", "--path", str(classified[0]), "--cpu", *given]) == 0
    assert json.loads(capsys.readouterr().out)["answer"] == label


@pytest.mark.parametrize(
    ("name", "reason"),
    [("scst_reward_criterion", "needs .* --scst"), ("clip_scst_reward_criterion", "no task here")],
)
def test_criterion_that_cannot_work_says_why(texts, tmp_path, name, reason) -> None:
    with pytest.raises(ValueError, match=reason):
        train_here(caption_command(texts, tmp_path, "--criterion", name, "--max-update", "1"))
