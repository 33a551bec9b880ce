"""Scores of answers to questions after the normalisation of the VQA evaluation.

Antol et al., arXiv:1505.00468; the rules are those of https://visualqa.org/evaluation.html.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

ARTICLES = frozenset({"a", "an", "the"})
# fmt: off
_NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"
)
# What takes n't, and what takes 's without being a possessive.
_NEGATED = (
    "ai", "are", "ca", "could", "did", "do", "does", "had", "has", "have", "is", "might", "must",
    "need", "should", "was", "were", "wo", "would",
)
_WITH_IS = ("he", "how", "she", "that", "there", "what", "when", "where", "who", "why")
# fmt: on
NUMBERS = {"none": "0", **{word: str(number) for number, word in enumerate(_NUMBER_WORDS)}}
CONTRACTIONS = {f"{word}nt": f"{word}n't" for word in _NEGATED} | {
    f"{word}s": f"{word}'s" for word in _WITH_IS
}
_PERIOD = re.compile(r"\.(?!\d)")
_COMMA_IN_NUMBER = re.compile(r"(?<=\d),(?=\d)")
# Apostrophes are part of words, colons of times, periods that are left of decimal numbers.
_OTHER_PUNCTUATION = re.compile(r"[^\w\s':.]|_")


def normalize_vqa(answer: str) -> str:
    """Lower case; digits for number words; no articles, no punctuation but ' : and decimal points.

    Other punctuation becomes a space, a comma between digits nothing.
    """
    text = _COMMA_IN_NUMBER.sub("", _PERIOD.sub("", answer.lower()))
    words = _OTHER_PUNCTUATION.sub(" ", text).split()
    # Here: an answer that is nothing but an article, such as the choice "A", is kept.
    words = [word for word in words if word not in ARTICLES] or words
    return " ".join(CONTRACTIONS.get(word, NUMBERS.get(word, word)) for word in words)


def token_f1(answer: str, references: Iterable[str]) -> float:
    """F1 of the words that the normalised answer shares with a reference, the best of them.

    Repeated words count as often as both sides hold them.  Two empty texts agree: 1.
    """
    return max(_overlap_f1(normalize_vqa(answer), normalize_vqa(ref)) for ref in references)


def bleu1(answer: str, references: Iterable[str]) -> float:
    """BLEU-1 in [0, 1] of one normalised answer, through sacrebleu.

    The share of its words that a reference holds, times the penalty of answers that are too short.
    """
    wanted = [normalize_vqa(ref) for ref in references]
    score = float(_bleu1().sentence_score(normalize_vqa(answer), wanted).score)
    return min(score / 100, 1.0)  # rounding


def _overlap_f1(answer: str, reference: str) -> float:
    found, wanted = answer.split(), reference.split()
    if not found or not wanted:
        return float(found == wanted)
    shared = sum((Counter(found) & Counter(wanted)).values())
    return 2 * shared / (len(found) + len(wanted))


@lru_cache(maxsize=1)
def _bleu1() -> Any:
    import sacrebleu

    return sacrebleu.BLEU(
        max_ngram_order=1, tokenize="none", smooth_method="none", effective_order=True
    )
