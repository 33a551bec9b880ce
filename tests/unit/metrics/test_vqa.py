"""Normalisation, token F1 and BLEU-1 of answers to questions."""

import math

import pytest

from biomedgpt_fairseq.metrics.vqa import bleu1, normalize_vqa, token_f1


@pytest.mark.parametrize(
    ("answer", "normalized"),
    [
        ("The left lung.", "left lung"),
        ("3.5 cm", "3.5 cm"),
        ("1,000 cells", "1000 cells"),
        ("right, upper  lobe", "right upper lobe"),
        ("X-ray/CT", "x ray ct"),
        ("Two nodules", "2 nodules"),
        ("none", "0"),
        ("2:50 pm", "2:50 pm"),
        ("dont know", "don't know"),
        ("the patient's liver", "patient's liver"),
        ("C.T.", "ct"),
        ("T2_weighted", "t2 weighted"),
        ("A", "a"),
        ("é", "é"),
        ("?!", ""),
    ],
)
def test_normalisation(answer: str, normalized: str) -> None:
    assert normalize_vqa(answer) == normalized


def test_token_f1_counts_shared_words() -> None:
    # Two of two words against two of three.
    assert token_f1("the left lung", ["left lower lung"]) == pytest.approx(2 * 2 / 5)
    assert token_f1("lung lung", ["lung"]) == pytest.approx(2 / 3)
    assert token_f1("heart", ["lung", "Heart."]) == 1
    assert token_f1("", ["lung"]) == 0 and token_f1("!", ["?"]) == 1


def test_bleu1_is_precision_with_a_penalty_for_short_answers() -> None:
    assert bleu1("left lung", ["the left lower lung"]) == pytest.approx(math.exp(1 - 3 / 2))
    assert bleu1("left lung lung", ["left lung"]) == pytest.approx(2 / 3)
    assert bleu1("lung", ["heart"]) == 0 and bleu1("", ["heart"]) == 0
    assert bleu1("Left lung.", ["left lung"]) == 1
