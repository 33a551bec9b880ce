"""ROUGE-1, -2 and -L of one text, through the rouge-score package."""

from functools import lru_cache
from typing import Any, NamedTuple

KINDS = ("rouge1", "rouge2", "rougeL")


class RougeScore(NamedTuple):
    """Overlap with the reference, each in [0, 1]."""

    precision: float
    recall: float
    f: float


@lru_cache(maxsize=2)
def _scorer(stem: bool) -> Any:
    # Imported late: it pulls in nltk and scikit-learn, a second at the start of every program.
    from rouge_score import rouge_scorer

    return rouge_scorer.RougeScorer(list(KINDS), use_stemmer=stem)


def rouge(hyp: str, ref: str, stem: bool = True) -> dict[str, RougeScore]:
    """rouge1, rouge2 and rougeL of a hypothesis, on lower-case words, Porter-stemmed or not."""
    scores = _scorer(stem).score(ref, hyp)
    return {kind: RougeScore(*map(float, scores[kind])) for kind in KINDS}
