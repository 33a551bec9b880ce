"""Captions, reports and pairs of statements about a scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from biomedgpt_fairseq.phantoms.canvas import Rng
from biomedgpt_fairseq.phantoms.findings import KINDS, SIDES, SIZES, Finding, with_article
from biomedgpt_fairseq.phantoms.scene import Scene, place_findings

NEUTRAL, ENTAILMENT, CONTRADICTION = 0, 1, 2
CLAIMS = ("presence", "side", "size")
"""What the second statement of a pair may say of a finding."""

_QUALITY = (
    "the image quality is adequate.",
    "there is some noise in the image.",
    "the exposure is even.",
    "no motion is apparent.",
    "comparison is made with no earlier study.",
)


@dataclass(frozen=True)
class Report:
    """The two sections of a report."""

    findings: str
    impression: str


@dataclass(frozen=True)
class StatementPair:
    """A premise, a hypothesis, and whether the first implies the second (0, 1, 2: see above)."""

    premise: str
    hypothesis: str
    label: int


def _pick(rng: Rng, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def describe(finding: Finding) -> str:
    """Such as "large mass in the left upper zone"."""
    return f"{finding.size} {finding.kind} in the {finding.place}"


def make_caption(scene: Scene, rng: Rng) -> str:
    """One sentence that tells modality, organ and every finding."""
    phrase = scene.modality.phrase
    if not scene.findings:
        wordings = ("normal {}", "{} without any finding", "{} of normal appearance")
        return _pick(rng, wordings).format(phrase)
    listed = " and ".join(f"a {describe(finding)}" for finding in scene.findings)
    wordings = ("{0} with {1}", "{0} showing {1}", "{1} on {2}")
    return _pick(rng, wordings).format(phrase, listed, with_article(phrase))


def _sentence(finding: Finding, rng: Rng) -> str:
    noun = KINDS[finding.kind].noun
    wordings = (
        f"there is a {describe(finding)}.",
        f"the {finding.place} shows a {finding.size} {finding.kind}.",
        f"{noun} is seen in the {finding.place}, {finding.size} in size.",
    )
    return _pick(rng, wordings)


def _absent(kind: str, rng: Rng) -> str:
    return _pick(rng, ("no {} is seen.", "there is no {}.", "{} is absent.")).format(kind)


def make_report(scene: Scene, rng: Rng) -> Report:
    """Findings in several sentences, and an impression that names what matters."""
    others = [kind for kind in KINDS if scene.find(kind) is None]
    sentences = [_sentence(finding, rng) for finding in scene.findings]
    sentences += [_absent(others[int(k)], rng) for k in rng.permutation(len(others))[:2]]
    sentences.append(_pick(rng, _QUALITY))
    order = rng.permutation(len(sentences))
    body = " ".join(sentences[int(k)] for k in order)
    listed = " and ".join(describe(finding) for finding in scene.findings)
    return Report(f"{scene.modality.phrase}. {body}", listed or "no abnormality")


def draw_statement_pair(rng: Rng, label: int, claims: Sequence[str] = CLAIMS) -> StatementPair:
    """A premise and a hypothesis, which claims one of `claims`, related as `label` says.

    The hypothesis is drawn without regard to the label, so that it alone tells nothing about it.
    """
    kinds = [list(KINDS)[int(k)] for k in rng.permutation(len(KINDS))]
    subject, *others = place_findings(rng, kinds[:3])
    claim = _pick(rng, claims)
    side, size = _pick(rng, SIDES), _pick(rng, SIZES)
    if claim == "presence":
        hypothesis = f"the image shows {KINDS[subject.kind].noun}."
        about = {
            ENTAILMENT: _sentence(subject, rng),
            CONTRADICTION: _absent(subject.kind, rng),
            NEUTRAL: _sentence(others[1], rng),
        }[label]
    else:
        hypothesis = {
            "side": f"the {subject.kind} is on the {side} side.",
            "size": f"the {subject.kind} is {size}.",
        }[claim]
        about = _about_attribute(subject.kind, claim, side if claim == "side" else size, label, rng)
    context = [about, _sentence(others[0], rng), _absent(kinds[3], rng)]
    premise = " ".join(context[int(k)] for k in rng.permutation(len(context)))
    return StatementPair(premise, hypothesis, label)


def _about_attribute(kind: str, claim: str, value: str, label: int, rng: Rng) -> str:
    """A sentence on `kind` that settles its side or size, or leaves it open."""
    choices = SIDES if claim == "side" else SIZES
    stated = value if label == ENTAILMENT else next(c for c in choices if c != value)
    if claim == "side":
        vague, settled = f"there is a {kind}.", f"there is a {kind} on the {stated} side."
        extra = f"a {_pick(rng, SIZES)} {kind} is noted."
    else:
        vague, settled = f"{kind} is noted.", f"there is a {stated} {kind}."
        extra = f"there is a {kind} on the {_pick(rng, SIDES)} side."
    return settled if label != NEUTRAL else _pick(rng, (vague, extra))
