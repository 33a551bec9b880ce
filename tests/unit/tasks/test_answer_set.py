"""Answer sets: forms, and where the answers came from."""

import hashlib
import json
import logging
from pathlib import Path

import pytest

pytest.importorskip("fairseq")

from biomedgpt_fairseq.tasks.answer_set import LEAK, describe_answers, load_answers, read_card
from biomedgpt_fairseq.tasks.options import VqaOptions
from biomedgpt_fairseq.tasks.vqa_gen import VqaTask
from biomedgpt_fairseq.text.compact import train_compact_vocabulary

TRAIN_ONLY = {"count": 2, "from": ["train"], "uses_test_answers": False}
WITH_TEST = {"count": 2, "from": ["train", "test"], "uses_test_answers": True}


def write_set(folder: Path, card: object = None, name: str = "answers.json") -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text('{"yes": 0, "no": 1}')
    if card is not None:
        (folder / "card.json").write_text(json.dumps(card))
    return str(folder / name)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", '{"b ": 0, "a": 1}'), ("a.json", '["b ", "a"]'), ("a.txt", "b \na\n")],
)
def test_every_form_keeps_order_and_spaces(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)

    assert load_answers(None, str(tmp_path / name)) == ["b ", "a"]


def test_pickle_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="python -m data_utils.answer_map pickle"):
        load_answers(None, str(tmp_path / "trainval_ans2label.pkl"))


def test_set_with_test_answers_needs_the_flag(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_set(tmp_path, {"answers": WITH_TEST})

    with pytest.raises(ValueError, match=r"answers\.json holds answers of the test split .*allow"):
        load_answers(None, path)
    with caplog.at_level(logging.WARNING):
        assert load_answers(None, path, allow_test_answers=True) == ["yes", "no"]
    assert LEAK in caplog.text


@pytest.mark.parametrize("card", [None, {"answers": TRAIN_ONLY}, {"answers": 2}, {}, [1]])
def test_other_sets_need_no_flag(card: object, tmp_path: Path) -> None:
    assert load_answers(None, write_set(tmp_path, card)) == ["yes", "no"]


def test_card_is_about_answers_json_only(tmp_path: Path) -> None:
    write_set(tmp_path, {"answers": WITH_TEST})

    assert load_answers(None, write_set(tmp_path, name="own.json")) == ["yes", "no"]


def test_damaged_card_is_named(tmp_path: Path) -> None:
    path = write_set(tmp_path)
    (tmp_path / "card.json").write_text("{")

    with pytest.raises(ValueError, match=r"card\.json, the data card of .*not valid JSON"):
        read_card(Path(path))


def test_option_of_the_task_allows_test_answers(tmp_path: Path) -> None:
    train_compact_vocabulary(["is it normal?"], 300, tmp_path / "bpe")
    options = {"bpe_dir": str(tmp_path / "bpe"), "code_dict_size": 0, "num_bins": 0, "seed": 1}
    options["ans2label_file"] = write_set(tmp_path, {"answers": WITH_TEST})

    with pytest.raises(ValueError, match="--allow-test-answers"):
        VqaTask.setup_task(VqaOptions(**options))
    task = VqaTask.setup_task(VqaOptions(**options, allow_test_answers=True))
    assert task.answers == ["yes", "no"]


def test_record_names_file_and_card(tmp_path: Path) -> None:
    path = write_set(tmp_path, {"answers": WITH_TEST})

    found = describe_answers(path, ["yes", "no"], None)

    content = Path(path).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert found["source"] == {"path": path, "bytes": len(content), "sha256": digest}
    assert (found["card"], found["uses_test_answers"]) == (WITH_TEST, True)
    assert found["statement"] == LEAK


@pytest.mark.parametrize(
    ("card", "only_evaluated", "statement"),
    [
        ({"answers": TRAIN_ONLY}, None, "Candidates from the splits train, says the card."),
        (
            None,
            1,
            "Candidates that are answers of evaluated rows and of no training row: 1 of 2. Unless",
        ),
        (None, 0, "No data card; every candidate that the evaluated rows use is in training rows."),
        (None, None, "No data card, and training rows were not read: unknown whether"),
    ],
)
def test_record_says_in_words_what_is_known(
    card: object, only_evaluated: int | None, statement: str, tmp_path: Path
) -> None:
    found = describe_answers(write_set(tmp_path, card), ["yes", "no"], only_evaluated)

    assert found["statement"].startswith(statement)
    assert found["uses_test_answers"] is (False if card else None)
    assert found["only_in_evaluated_rows"] == only_evaluated


def test_record_of_inline_answers() -> None:
    assert describe_answers(None, ["yes"], None)["source"] == "--ans2label-dict"
