"""Questions, captions, reports and statement pairs."""

from collections import Counter

import pytest

from biomedgpt_fairseq.phantoms.case import draw_question_scene, make_case, row_rng
from biomedgpt_fairseq.phantoms.findings import KINDS, Finding
from biomedgpt_fairseq.phantoms.modalities import MODALITIES
from biomedgpt_fairseq.phantoms.question_wordings import WORDING_SETS, WORDINGS
from biomedgpt_fairseq.phantoms.questions import (
    TEMPLATES,
    all_answers,
    answers_by_type,
    questions_about,
)
from biomedgpt_fairseq.phantoms.scene import Scene
from biomedgpt_fairseq.phantoms.wording import (
    CONTRADICTION,
    ENTAILMENT,
    NEUTRAL,
    draw_statement_pair,
    make_caption,
    make_report,
)

CT = next(modality for modality in MODALITIES if modality.name == "ct")
MASS = Finding("mass", "left", "upper", "large", (0.3, 0.3))
SCENE = Scene(CT, (MASS,))


def test_caption_names_modality_and_finding() -> None:
    captions = {make_caption(SCENE, row_rng(1, row, 0)) for row in range(30)}

    assert captions == {
        "ct slice of the abdomen with a large mass in the left upper zone",
        "ct slice of the abdomen showing a large mass in the left upper zone",
        "a large mass in the left upper zone on a ct slice of the abdomen",
    }


def test_articles_follow_the_sound() -> None:
    mri = next(modality for modality in MODALITIES if modality.name == "mri")
    captions = {make_caption(Scene(mri, (MASS,)), row_rng(1, row, 0)) for row in range(30)}

    assert "a large mass in the left upper zone on an mri slice of the brain" in captions


def test_thousand_captions_are_mostly_different() -> None:
    captions = Counter(make_case(1, row, 16).caption for row in range(1000))

    assert len(captions) >= 300


def test_report_mentions_the_finding_and_denies_others() -> None:
    report = make_report(SCENE, row_rng(1, 0, 0))

    assert report.impression == "large mass in the left upper zone"
    assert report.findings.startswith("ct slice of the abdomen. ")
    assert "left upper zone" in report.findings
    denied = [kind for kind in KINDS if f"no {kind}" in report.findings]
    assert "mass" not in denied


def test_report_without_findings_says_so() -> None:
    assert make_report(Scene(CT, ()), row_rng(1, 0, 0)).impression == "no abnormality"


def test_questions_about_a_scene_have_true_answers() -> None:
    answers: dict[str, set[str]] = {}
    for row in range(60):
        for question in questions_about(SCENE, row_rng(1, row, 0)):
            answers.setdefault(question.text, set()).add(question.answer)

    assert answers["is there a mass in the image?"] == {"yes"}
    assert answers["is there a nodule in the image?"] == {"no"}
    assert answers["is the mass on the left side?"] == {"yes"}
    assert answers["is the mass on the right side?"] == {"no"}
    assert answers["in which zone is the mass?"] == {"upper"}
    assert answers["which modality is this?"] == {"ct"}
    assert answers["how many findings are there?"] == {"1"}
    assert answers["what abnormality is seen?"] == {"mass"}
    assert answers["is the image normal?"] == {"no"}
    assert not any("nodule on" in text or "the nodule" in text for text in answers)


def test_drawn_question_is_true_of_its_scene() -> None:
    for row in range(200):
        wish, scene = draw_question_scene(1, row)
        assert wish.fits(scene)
        assert wish.question.answer in all_answers()


def test_answer_types_name_the_counting_type() -> None:
    assert answers_by_type()["how many"] == ["0", "1", "2"]
    assert "other" not in answers_by_type()


@pytest.mark.parametrize("label", [NEUTRAL, ENTAILMENT, CONTRADICTION])
def test_statement_pair_has_the_relation(label: int) -> None:
    for row in range(300):
        pair = draw_statement_pair(row_rng(1, row, 0), label)
        kind = next(kind for kind in KINDS if kind in pair.hypothesis)
        sentences = [s for s in pair.premise.rstrip(".").split(". ") if kind in s]
        if "shows" in pair.hypothesis:
            denied = any(f"no {kind}" in s or f"{kind} is absent" in s for s in sentences)
            relation = NEUTRAL if not sentences else CONTRADICTION if denied else ENTAILMENT
        else:
            claims = {"left", "right"} if "side" in pair.hypothesis else {"small", "large"}
            stated = {word for s in sentences for word in s.split() if word in claims}
            wanted = {word for word in pair.hypothesis.rstrip(".").split() if word in claims}
            relation = NEUTRAL if not stated else ENTAILMENT if stated == wanted else CONTRADICTION
        assert relation == label, pair


def test_claims_can_be_chosen() -> None:
    pairs = [draw_statement_pair(row_rng(1, row, 0), row % 3, ("side",)) for row in range(60)]
    assert all(pair.hypothesis.endswith(" side.") for pair in pairs)


def test_hypothesis_alone_does_not_tell_the_label() -> None:
    counts = [
        Counter(draw_statement_pair(row_rng(1, row, 0), label).hypothesis for row in range(600))
        for label in (NEUTRAL, ENTAILMENT, CONTRADICTION)
    ]

    assert counts[0] == counts[1] == counts[2]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.wording)
def test_held_out_wordings_occur_in_no_other_set(template) -> None:
    wordings = WORDINGS[template.wording]
    held_out = wordings.choose("held-out")

    assert len(wordings.choose("varied")) >= len(wordings.plain) + 2
    assert len(set(held_out)) >= 2
    assert not set(held_out) & {
        text for other in WORDINGS.values() for text in other.choose("varied")
    }


def test_wordings_change_the_question_alone() -> None:
    drawn = {
        kind: [draw_question_scene(1, row, kind) for row in range(60)] for kind in WORDING_SETS
    }

    for plain, *others in zip(*drawn.values(), strict=True):
        for wish, scene in others:
            assert scene == plain[1] and wish.question.answer == plain[0].question.answer
            assert wish.question.answer_type == plain[0].question.answer_type
    texts = {kind: {wish.question.text for wish, _ in rows} for kind, rows in drawn.items()}
    assert not texts["held-out"] & (texts["plain"] | texts["varied"])
    assert texts["varied"] - texts["plain"]
