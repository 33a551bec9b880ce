import pytest

from biomedgpt_fairseq.report.model import Row
from biomedgpt_fairseq.report.records import prediction_line, released_records

ROW = Row("12", "No", -0.25, "no", 1.0, references={"no": 1.0})


@pytest.mark.parametrize(
    ("task", "record"),
    [
        ("vqa_gen", {"question_id": 12, "answer": "No"}),
        ("caption", {"image_id": "12", "caption": "No"}),
        ("image_classify", {"uniq_id": "12", "answer": "No"}),
        ("mnli", {"hyp": "No", "ref": {"no": 1.0}}),
        ("gigaword", {"hyp": "No", "ref": "no"}),
    ],
)
def test_released_record_of_each_task(task: str, record: dict[str, object]) -> None:
    assert released_records(task, [ROW]) == [record]


def test_question_id_that_is_no_number_is_kept() -> None:
    row = Row("synpic1", "no", 0.0, "no", 1.0)
    assert released_records("vqa_gen", [row])[0]["question_id"] == "synpic1"


def test_prediction_line_has_the_documented_keys() -> None:
    assert prediction_line(ROW) == {
        "id": "12",
        "answer": "No",
        "score": -0.25,
        "gold": "no",
        "correct": 1.0,
    }
