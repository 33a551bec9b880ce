"""Questions about a scene, with answers that cannot be guessed from the question.

A row's question and answer are drawn first, each answer equally likely; then a scene is drawn to
which the answer is true. So no wording tells anything about its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from biomedgpt_fairseq.phantoms.canvas import Rng
from biomedgpt_fairseq.phantoms.findings import (
    KINDS,
    NO_FINDING,
    SIDES,
    SIZES,
    ZONES,
    Finding,
    with_article,
)
from biomedgpt_fairseq.phantoms.modalities import MODALITIES
from biomedgpt_fairseq.phantoms.question_wordings import WORDINGS, WordingSet
from biomedgpt_fairseq.phantoms.scene import Scene

YES_NO = ("yes", "no")
Slots = Mapping[str, str]


@dataclass(frozen=True)
class Template:
    """One type of question; `answer` gives None where the question makes no sense."""

    answer_type: str
    wording: str  # a key of `WORDINGS`
    answers: tuple[str, ...]
    answer: Callable[[Scene, Slots], str | None]

    @property
    def is_closed(self) -> bool:
        """Whether it is answered by yes or no."""
        return self.answers == YES_NO


@dataclass(frozen=True)
class Question:
    """A question in words with its answer and the answer's type."""

    text: str
    answer: str
    answer_type: str
    is_closed: bool


@dataclass(frozen=True)
class Wish:
    """A question whose answer is settled before there is a scene."""

    question: Question
    template: Template
    slots: Slots

    def fits(self, scene: Scene) -> bool:
        """Whether the answer is true of the scene."""
        return self.template.answer(scene, self.slots) == self.question.answer


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _of_finding(
    read: Callable[[Finding, Slots], str],
) -> Callable[[Scene, Slots], str | None]:
    """An answer that needs the finding the question names."""

    def answer(scene: Scene, slots: Slots) -> str | None:
        finding = scene.find(slots["kind"])
        return None if finding is None else read(finding, slots)

    return answer


def _only_finding(scene: Scene, slots: Slots) -> str | None:
    return None if len(scene.findings) > 1 else scene.label


TEMPLATES: tuple[Template, ...] = (
    Template(
        "is",
        "presence",
        YES_NO,
        lambda scene, slots: _yes(scene.find(slots["kind"]) is not None),
    ),
    Template(
        "is",
        "is side",
        YES_NO,
        _of_finding(lambda finding, slots: _yes(finding.side == slots["side"])),
    ),
    Template(
        "is",
        "is zone",
        YES_NO,
        _of_finding(lambda finding, slots: _yes(finding.zone == slots["zone"])),
    ),
    Template(
        "is",
        "is size",
        YES_NO,
        _of_finding(lambda finding, slots: _yes(finding.size == slots["size"])),
    ),
    Template(
        "is",
        "is modality",
        YES_NO,
        lambda scene, slots: _yes(scene.modality.name == slots["modality"]),
    ),
    Template(
        "is",
        "is normal",
        YES_NO,
        lambda scene, slots: _yes(not scene.findings),
    ),
    Template(
        "is",
        "is several",
        YES_NO,
        lambda scene, slots: _yes(len(scene.findings) > 1),
    ),
    Template(
        "what",
        "what finding",
        (*KINDS, NO_FINDING),
        _only_finding,
    ),
    Template(
        "which modality",
        "which modality",
        tuple(modality.name for modality in MODALITIES),
        lambda scene, slots: scene.modality.name,
    ),
    Template(
        "which organ",
        "which organ",
        tuple(modality.organ for modality in MODALITIES),
        lambda scene, slots: scene.modality.organ,
    ),
    Template(
        "how many",
        "how many",
        ("0", "1", "2"),
        lambda scene, slots: str(len(scene.findings)),
    ),
    Template(
        "which side",
        "which side",
        SIDES,
        _of_finding(lambda finding, slots: finding.side),
    ),
    Template(
        "which zone",
        "which zone",
        ZONES,
        _of_finding(lambda finding, slots: finding.zone),
    ),
)


def _pick(rng: Rng, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _draw_slots(rng: Rng) -> dict[str, str]:
    kind = _pick(rng, tuple(KINDS))
    modality = _pick(rng, tuple(modality.name for modality in MODALITIES))
    return {
        "kind": kind,
        "noun": KINDS[kind].noun,
        "side": _pick(rng, SIDES),
        "zone": _pick(rng, ZONES),
        "size": _pick(rng, SIZES),
        "modality": modality,
        "an_image": with_article(modality),
    }


def _make(
    template: Template, slots: Slots, answer: str, rng: Rng, wordings: WordingSet = "plain"
) -> Question:
    text = _pick(rng, WORDINGS[template.wording].choose(wordings)).format(**slots)
    return Question(text, answer, template.answer_type, template.is_closed)


def draw_wish(rng: Rng, wordings: WordingSet = "plain") -> Wish:
    """A random question, closed or open with equal chance, and one of its possible answers."""
    wants_closed = bool(rng.random() < 0.5)
    fitting = [template for template in TEMPLATES if template.is_closed == wants_closed]
    template = fitting[int(rng.integers(len(fitting)))]
    slots = _draw_slots(rng)
    answer = _pick(rng, template.answers)
    return Wish(_make(template, slots, answer, rng, wordings), template, slots)


def questions_about(scene: Scene, rng: Rng, wordings: WordingSet = "plain") -> list[Question]:
    """One question of every type that makes sense for the scene, with its answer."""
    questions = []
    for template in TEMPLATES:
        slots = _draw_slots(rng)
        answer = template.answer(scene, slots)
        if answer is not None:
            questions.append(_make(template, slots, answer, rng, wordings))
    return questions


def answers_by_type() -> dict[str, list[str]]:
    """Answer type -> its answers."""
    by_type: dict[str, list[str]] = {}
    for template in TEMPLATES:
        known = by_type.setdefault(template.answer_type, [])
        known += [answer for answer in template.answers if answer not in known]
    return by_type


def all_answers() -> list[str]:
    """Every answer that can occur, in a fixed order."""
    return list(dict.fromkeys(a for answers in answers_by_type().values() for a in answers))
