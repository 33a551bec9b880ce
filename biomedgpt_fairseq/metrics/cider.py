"""CIDEr-D: consensus of a caption with its references (Vedantam et al., arXiv:1411.5726).

An n-gram (n = 1..4) weighs its count times its inverse document frequency; the hypothesis's weights
are clipped at the reference's before both are compared by cosine.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from biomedgpt_fairseq.metrics.bleu import check_pairs

Ngram = tuple[str, ...]
Scores = np.ndarray[tuple[int], np.dtype[np.float64]]

ORDERS = 4
SIGMA = 6.0  # width of the Gaussian penalty on the difference of lengths
SCALE = 10.0


class Weighted(NamedTuple):
    """One text as weighted n-grams."""

    weights: list[dict[Ngram, float]]  # one mapping per order
    norms: list[float]
    length: int  # number of bigrams, as in the published scorer


def ngram_counts(text: str) -> Counter[Ngram]:
    """How often each n-gram (n = 1..4) of white-space separated words occurs."""
    words = text.split()
    return Counter(
        tuple(words[start : start + order])
        for order in range(1, ORDERS + 1)
        for start in range(len(words) - order + 1)
    )


def document_frequencies(refs: Sequence[Sequence[str]]) -> Counter[Ngram]:
    """In how many reference sets each n-gram occurs."""
    return Counter(
        ngram for several in refs for ngram in {n for text in several for n in ngram_counts(text)}
    )


def cider_d(
    hyps: Sequence[str],
    refs: Sequence[Sequence[str]],
    document_frequency: Mapping[Ngram, float] | None = None,
    ref_len: float | None = None,
) -> Scores:
    """CIDEr-D of each hypothesis, in 0..10 (10: equal to its only reference).

    Text is used as given.  document_frequency: n-gram -> number of reference sets that hold it;
    ref_len: number of those sets; both come from `refs` when absent.  Returns (N,) float64.
    """
    check_pairs(hyps, refs)
    if document_frequency is None:
        document_frequency = document_frequencies(refs)
        ref_len = len(refs) if ref_len is None else ref_len
    elif ref_len is None:
        raise ValueError("document frequencies need ref_len, the number of their reference sets")
    log_sets = math.log(ref_len)
    # Self-critical training repeats the references of an image for each of its hypotheses.
    known: dict[str, Weighted] = {}
    scores = np.zeros(len(hyps))
    for place, (hyp, several) in enumerate(zip(hyps, refs, strict=True)):
        for text in several:
            if text not in known:
                known[text] = _weigh(text, document_frequency, log_sets)
        own = _weigh(hyp, document_frequency, log_sets)
        scores[place] = SCALE * np.mean([_similarity(own, known[text]) for text in several])
    return scores


def _weigh(text: str, frequency: Mapping[Ngram, float], log_sets: float) -> Weighted:
    weights: list[dict[Ngram, float]] = [{} for _ in range(ORDERS)]
    length = 0
    for ngram, count in ngram_counts(text).items():
        rarity = log_sets - math.log(max(1.0, frequency.get(ngram, 0.0)))
        weights[len(ngram) - 1][ngram] = count * rarity
        length += count if len(ngram) == 2 else 0
    norms = [math.sqrt(sum(value * value for value in order.values())) for order in weights]
    return Weighted(weights, norms, length)


def _similarity(hyp: Weighted, ref: Weighted) -> float:
    """Mean over the orders of the clipped cosine, times the penalty on lengths."""
    total = 0.0
    for order in range(ORDERS):
        mine, theirs = hyp.weights[order], ref.weights[order]
        shared = sum(
            min(value, theirs[ngram]) * theirs[ngram]
            for ngram, value in mine.items()
            if ngram in theirs
        )
        norm = hyp.norms[order] * ref.norms[order]
        total += shared / norm if norm else shared
    penalty = math.exp(-((hyp.length - ref.length) ** 2) / (2 * SIGMA**2))
    return penalty * total / ORDERS
