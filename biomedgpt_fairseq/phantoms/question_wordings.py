"""How each question about a scene can be asked.

`plain` wordings are the usual ones. `varied` are these and as many others, for models that are to
understand more than a few fixed strings. `held-out` wordings share no string with either: they are
for evaluation only, so that a model is asked in words it never saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WordingSet = Literal["plain", "varied", "held-out"]
WORDING_SETS: tuple[WordingSet, ...] = ("plain", "varied", "held-out")


@dataclass(frozen=True)
class Wordings:
    """Wordings of one question, with slots in braces."""

    plain: tuple[str, ...]
    more: tuple[str, ...]
    held_out: tuple[str, ...]

    def choose(self, which: WordingSet) -> tuple[str, ...]:
        """The wordings of that set."""
        if which == "plain":
            return self.plain
        return self.held_out if which == "held-out" else self.plain + self.more


WORDINGS: dict[str, Wordings] = {
    "presence": Wordings(
        ("is there {noun} in the image?", "does the image show {noun}?", "can {noun} be seen?"),
        ("is {noun} present?", "do you see {noun} here?", "does this picture contain {noun}?"),
        ("is {noun} seen in this picture?", "does {noun} show here?"),
    ),
    "is side": Wordings(
        ("is the {kind} on the {side} side?", "does the {kind} lie on the {side}?"),
        (
            "do you see the {kind} on the {side}?",
            "is the {side} side the one with the {kind}?",
            "does the {side} side contain the {kind}?",
        ),
        ("is the {kind} seen on the {side}?", "does the {side} side show the {kind}?"),
    ),
    "is zone": Wordings(
        ("is the {kind} in the {zone} zone?", "does the {kind} lie in the {zone} zone?"),
        (
            "do you see the {kind} in the {zone} zone?",
            "is the {zone} zone the one with the {kind}?",
            "does the {zone} zone contain the {kind}?",
        ),
        ("is the {kind} seen in the {zone} zone?", "does the {zone} zone show the {kind}?"),
    ),
    "is size": Wordings(
        ("is the {kind} {size}?", "is this a {size} {kind}?"),
        ("is the {kind} {size} in size?", "does the {kind} look {size}?"),
        ("is the {kind} here a {size} one?", "do you see a {size} {kind}?"),
    ),
    "is modality": Wordings(
        ("is this {an_image} image?", "was the image taken by {modality}?"),
        ("is the picture {an_image} image?", "was {modality} used here?"),
        ("was this picture taken by {modality}?", "do you see {an_image} image here?"),
    ),
    "is normal": Wordings(
        ("is the image normal?", "is the image free of findings?"),
        ("does the image look normal?", "is this a normal picture?", "are findings absent?"),
        ("is this picture free of findings?", "is this image a normal one?"),
    ),
    "is several": Wordings(
        ("is there more than one finding?", "are several findings present?"),
        ("do you see more than one finding?", "does the image show several findings?"),
        ("is more than one finding seen here?", "are there several findings?"),
    ),
    "what finding": Wordings(
        ("what abnormality is seen?", "what does the image show?", "which finding is present?"),
        ("what finding do you see?", "which abnormality is there?", "what is the finding?"),
        ("which abnormality does the image show?", "what finding is seen here?"),
    ),
    "which modality": Wordings(
        ("which modality is this?", "how was the image taken?"),
        ("what modality was used?", "how was this picture made?"),
        ("what is the modality of the image?", "how was this picture taken?"),
    ),
    "which organ": Wordings(
        ("which organ is shown?", "what part of the body is this?"),
        ("what organ do you see?", "which part of the body is in the image?"),
        ("what is the organ in the image?", "which part of the body is shown here?"),
    ),
    "how many": Wordings(
        ("how many findings are there?", "how many findings are seen?"),
        ("how many findings do you see?", "what is the number of findings?"),
        ("how many findings does the image show?", "how many findings are present here?"),
    ),
    "which side": Wordings(
        ("on which side is the {kind}?", "which side shows the {kind}?"),
        ("what side is the {kind} on?", "on which side do you see the {kind}?"),
        ("which side contains the {kind}?", "on what side does the {kind} lie?"),
    ),
    "which zone": Wordings(
        ("in which zone is the {kind}?", "which zone shows the {kind}?"),
        ("what zone is the {kind} in?", "in which zone do you see the {kind}?"),
        ("which zone contains the {kind}?", "in what zone does the {kind} lie?"),
    ),
}
