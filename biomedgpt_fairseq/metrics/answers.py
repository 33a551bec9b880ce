"""Exact match of short answers; which questions are closed."""

from collections.abc import Callable, Mapping

CLOSED_ANSWERS = frozenset({"yes", "no"})
Normalize = Callable[[str], str]


def fold(answer: str) -> str:
    """The form in which answers are compared: without outer spaces and case."""
    return answer.strip().casefold()


def match_score(
    answer: str, references: Mapping[str, float], normalize: Normalize | None = fold
) -> float:
    """Score of an answer: that of the best reference it equals, else 0.

    references: accepted answer -> score in [0, 1].  normalize: applied to both sides; None compares
    letter by letter, as the original did.
    """
    if normalize is None:
        return references.get(answer, 0.0)
    wanted = normalize(answer)
    scores = [score for text, score in references.items() if normalize(text) == wanted]
    return max(scores, default=0.0)


def is_closed(references: Mapping[str, float]) -> bool:
    """Whether the best reference is yes or no, which makes the question a closed one.

    A question without references is open.
    """
    best = max(references, key=lambda text: references[text], default="")
    return fold(best) in CLOSED_ANSWERS
