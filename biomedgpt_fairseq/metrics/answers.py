"""Exact-match accuracy of short answers, for closed and open questions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

CLOSED_ANSWERS = frozenset({"yes", "no"})
Normalize = Callable[[str], str]


@dataclass(frozen=True)
class AnswerAccuracy:
    """Mean scores in [0, 1] with their numbers of questions; None where there is no question."""

    overall: float | None
    closed: float | None
    open: float | None
    num_closed: int
    num_open: int


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


def answer_accuracy(
    answers: Sequence[str],
    references: Sequence[Mapping[str, float]],
    normalize: Normalize | None = fold,
    closed: Sequence[bool] | None = None,
) -> AnswerAccuracy:
    """Accuracy over all, closed and open questions.

    references: accepted answers of each question with their scores.  closed: the kind of each
    question where the data set says it; otherwise yes/no questions are closed.
    Raises ValueError if the lengths differ.
    """
    kinds = [is_closed(accepted) for accepted in references] if closed is None else closed
    if not len(answers) == len(references) == len(kinds):
        raise ValueError(
            f"{len(answers)} answers, {len(references)} references and {len(kinds)} kinds differ"
        )
    scores: dict[bool, list[float]] = {True: [], False: []}
    for answer, accepted, kind in zip(answers, references, kinds, strict=True):
        scores[bool(kind)].append(match_score(answer, accepted, normalize))
    return AnswerAccuracy(
        overall=_mean(scores[True] + scores[False]),
        closed=_mean(scores[True]),
        open=_mean(scores[False]),
        num_closed=len(scores[True]),
        num_open=len(scores[False]),
    )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
