import shutil
from dataclasses import dataclass, field

import numpy as np
import pytest

from biomedgpt_fairseq.report.model import Measure
from biomedgpt_fairseq.report.summary import OTHER, Summary, summarize


@dataclass
class Prediction:
    row_id: str
    answer: str
    gold: str
    score: float = -1.0
    references: dict[str, float] = field(default_factory=dict)
    probabilities: list[float] | None = None


def measure(summary: Summary, name: str) -> Measure:
    return next(m for m in summary.measures if m.name == name)


QUESTION_METRICS = [
    "vqa_score",
    "vqa_score closed",
    "vqa_score open",
    "accuracy",
    "accuracy closed",
    "accuracy open",
    "token F1 open",
    "BLEU-1 open",
    "exact",
]
VQA = [
    Prediction("1", "Yes ", "yes", references={"yes": 1.0}),
    Prediction("2", "no", "yes", references={"yes": 1.0}),
    Prediction("3", "lung", "left lung", references={"left lung": 0.9, "lung": 0.6}),
    Prediction("4", "heart", "heart", references={"heart": 1.0}),
]


def test_vqa_score_counts_closed_and_open_questions_apart() -> None:
    summary = summarize("vqa_gen", VQA, None, seed=1)
    assert measure(summary, "vqa_score").value == pytest.approx(0.65)
    assert measure(summary, "vqa_score closed").value == pytest.approx(0.5)
    assert measure(summary, "vqa_score closed").count == 2
    assert measure(summary, "vqa_score open").value == pytest.approx(0.8)


def test_exact_is_letter_for_letter() -> None:
    assert measure(summarize("vqa_gen", VQA, None, 1), "exact").value == pytest.approx(0.4)


def test_rows_keep_order_ids_and_credit() -> None:
    rows = summarize("vqa_gen", VQA, None, 1).rows
    assert [(row.row_id, row.value) for row in rows] == [
        ("1", 1.0),
        ("2", 0.0),
        ("3", 0.6),
        ("4", 1.0),
    ]


def test_intervals_hold_the_value_and_repeat() -> None:
    first = summarize("vqa_gen", VQA * 20, None, 3)
    for m in first.measures:
        assert m.low is not None and m.high is not None
        assert m.low <= m.value <= m.high
        # Every open answer is one of its references.
        assert (m.low < m.high) == (m.name not in {"token F1 open", "BLEU-1 open"})
    assert first.measures == summarize("vqa_gen", VQA * 20, None, 3).measures


CLASSES = [
    Prediction("0", "a", "a", probabilities=[0.9, 0.1]),
    Prediction("1", "a", "b", probabilities=[0.6, 0.4]),
    Prediction("2", "b", "b", probabilities=[0.2, 0.8]),
    Prediction("3", "b", "b", probabilities=[0.3, 0.7]),
]


def test_classification_has_f1_and_auc() -> None:
    summary = summarize("image_classify", CLASSES, ["a", "b"], 1)
    assert measure(summary, "score").value == 0.75
    # F1: a = 2/3, b = 4/5; weights 1 and 3.
    assert measure(summary, "macro F1").value == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert measure(summary, "weighted F1").value == pytest.approx((2 / 3 + 3 * 4 / 5) / 4)
    assert measure(summary, "AUC").value == 1.0


def test_no_auc_without_probabilities() -> None:
    bare = [Prediction(p.row_id, p.answer, p.gold) for p in CLASSES]
    summary = summarize("mnli", bare, ["a", "b"], 1)
    assert [m.name for m in summary.measures] == ["acc", "weighted F1", "macro F1"]
    assert summary.reliability is None


def test_reliability_compares_confidence_with_credit() -> None:
    found = summarize("image_classify", CLASSES, ["a", "b"], 1).reliability
    assert found is not None
    # Three right with 0.9 + 0.8 + 0.7, one wrong with 0.6.
    assert found.expected_error == pytest.approx((0.1 + 0.2 + 0.3 + 0.6) / 4)


def test_confusion_counts_gold_by_predicted() -> None:
    found = summarize("image_classify", CLASSES, ["a", "b"], 1).confusion
    assert found is not None
    assert found.labels == ("a", "b")
    assert np.array_equal(found.counts, [[1, 0], [1, 2]])


def test_rare_answers_share_a_row_of_the_confusion() -> None:
    many = [Prediction(str(i), f"x{i}", f"x{i // 2}") for i in range(60)]
    found = summarize("vqa_gen", many, None, 1).confusion
    assert found is not None
    assert len(found.labels) == 12 and found.labels[-1] == OTHER
    assert found.counts.sum() == 60


def test_captions_are_compared_without_case_and_punctuation() -> None:
    captions = [
        Prediction("1", "A mass, left lung.", "a mass left lung"),
        Prediction("2", "no finding", "x&&y", references={"normal": 1.0, "no finding": 1.0}),
    ]
    summary = summarize("caption", captions, None, 1, with_meteor=False)
    assert summary.confusion is None and summary.reliability is None
    assert measure(summary, "rougeL F1").value == 1.0
    assert measure(summary, "CIDEr-D").value > 0
    assert not measure(summary, "CIDEr-D").percent
    assert [row.value for row in summary.rows] == [1.0, 1.0]


def test_summaries_have_rouge_and_bleu() -> None:
    rows = [Prediction("1", "does it help", "does it help"), Prediction("2", "why", "what is it")]
    summary = summarize("gigaword", rows, None, 1)
    assert measure(summary, "rouge1 F1").value == 0.5
    assert {m.name for m in summary.measures} == {"rouge1 F1", "rouge2 F1", "rougeL F1", "BLEU"}


def test_metrics_file_and_lines_name_every_metric() -> None:
    summary = summarize("vqa_gen", VQA, None, 1)
    content = summary.as_dict()
    assert content["rows"] == 4 and content["task"] == "vqa_gen"
    assert list(content["metrics"]) == QUESTION_METRICS
    assert content["metrics"]["accuracy"]["source"] == "VQA normalisation"
    assert content["notes"] == []
    assert len(summary.lines()) == 9 and "0.6500" in summary.lines()[0]


def test_answers_are_matched_after_the_normalisation_of_the_vqa_evaluation() -> None:
    rows = [
        Prediction("1", "the left lung.", "Left lung"),
        Prediction("2", "left lower lung", "left lung"),
        Prediction("3", "Yes.", "yes"),
    ]
    summary = summarize("vqa_gen", rows, None, 1)
    assert measure(summary, "vqa_score").value == 0
    assert measure(summary, "accuracy").value == pytest.approx(2 / 3)
    assert measure(summary, "accuracy closed").value == 1
    assert measure(summary, "accuracy open").value == 0.5
    # Two of three words against two of two.
    assert measure(summary, "token F1 open").value == pytest.approx((1 + 4 / 5) / 2)
    assert measure(summary, "BLEU-1 open").value == pytest.approx((1 + 2 / 3) / 2)
    assert measure(summary, "BLEU-1 open").count == 2
    assert [set(row.scores) for row in summary.rows] == [
        {"accuracy", "token F1", "BLEU-1"},
        {"accuracy", "token F1", "BLEU-1"},
        {"accuracy"},
    ]


def test_kind_of_question_that_is_absent_has_no_metric() -> None:
    names = [m.name for m in summarize("vqa_gen", VQA[:2], None, 1).measures]
    assert names == ["vqa_score", "vqa_score closed", "accuracy", "accuracy closed", "exact"]


def test_measures_of_picked_rows_are_those_of_the_rows_alone() -> None:
    for task, rows, answers in (("vqa_gen", VQA, None), ("image_classify", CLASSES, ["a", "b"])):
        scored = summarize(task, rows, answers, 1).scored
        alone = summarize(task, rows[1:], answers, 1).measures
        for found, wanted in zip(scored.measures(1, [1, 2, 3]), alone, strict=True):
            assert (found.name, found.count) == (wanted.name, wanted.count)
            assert (found.value, found.low, found.high) == pytest.approx(
                (wanted.value, wanted.low, wanted.high)
            )


def test_captions_have_the_metrics_of_the_coco_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pycocoevalcap.bleu.bleu_scorer")
    monkeypatch.setattr(shutil, "which", lambda program: None)
    rows = [
        Prediction("1", "A mass, left lung.", "a mass left lung"),
        Prediction("2", "No finding.", "normal", references={"normal": 1.0, "no finding": 1.0}),
    ]
    summary = summarize("caption", rows, None, 1)
    for name in ("BLEU-1", "BLEU-2", "ROUGE-L"):
        assert measure(summary, name).value == pytest.approx(1.0)
    assert measure(summary, "CIDEr").value > 0 and not measure(summary, "CIDEr").percent
    assert set(summary.rows[0].scores) == {
        "rouge1 F1",
        "rouge2 F1",
        "rougeL F1",
        "CIDEr-D",
        "ROUGE-L",
        "CIDEr",
    }
    assert "METEOR left out" in summary.as_dict()["notes"][1]
    assert summary.lines()[-1].startswith("note: METEOR left out")


def test_meteor_can_be_left_out_on_purpose() -> None:
    pytest.importorskip("pycocoevalcap.bleu.bleu_scorer")
    summary = summarize("caption", [Prediction("1", "a", "a")], None, 1, with_meteor=False)
    assert "METEOR" not in {m.name for m in summary.measures}
    assert not any("METEOR" in note for note in summary.scored.notes)
