"""BLEU-1 to -4, METEOR, ROUGE-L and CIDEr of the COCO caption evaluation, through pycocoevalcap.

Chen et al., arXiv:1504.00325.
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from biomedgpt_fairseq.metrics.bleu import ORDERS, check_pairs
from biomedgpt_fairseq.metrics.bootstrap import (
    Floats,
    OfCounts,
    RowMetric,
    mean_metric,
    of_sums,
)
from biomedgpt_fairseq.metrics.caption_tokens import PTB, TokenizedCaptions, tokenize_captions
from biomedgpt_fairseq.metrics.meteor import meteor_counts, meteor_of

logger = logging.getLogger(__name__)

LIBRARY = "pycocoevalcap"
INSTALL = "pip install pycocoevalcap, or this project with its extra [metrics]"
NAMES = "BLEU-1 to -4, METEOR, ROUGE-L and CIDEr"


class CocoMetrics(NamedTuple):
    """metrics: of any selection of rows; by_row: name -> (N,) scores of single rows."""

    metrics: list[RowMetric]
    by_row: dict[str, Floats]
    notes: list[str]
    """What is missing or other than usual, and why."""


def coco_metrics(
    hyps: Sequence[str], refs: Sequence[Sequence[str]], with_meteor: bool = True
) -> CocoMetrics:
    """The metrics of texts as they are: they are put into lower case and tokenized here.

    Without pycocoevalcap there are none, without java no METEOR and other tokens; the notes say so.
    """
    check_pairs(hyps, refs)
    try:
        texts = tokenize_captions(hyps, refs)
    except ModuleNotFoundError as error:
        return CocoMetrics([], {}, [_warn(f"{NAMES} left out: {error}; {INSTALL}")])
    return score_tokens(texts, with_meteor)


def score_tokens(texts: TokenizedCaptions, with_meteor: bool = True) -> CocoMetrics:
    """The metrics of tokenized texts, as `coco_metrics`."""
    notes = []
    if texts.problem:
        notes.append(f"{texts.tokenizer} instead of {PTB} for {LIBRARY}: {texts.problem}")
    metrics, by_row = _by_counts(texts), {}
    if with_meteor:
        try:
            counts = meteor_counts(texts.hyps, texts.refs)
        except (OSError, ValueError) as error:
            notes.append(_warn(f"METEOR left out: {error}"))
        else:
            metrics.append(_summed("METEOR", counts, meteor_of, texts))
            by_row["METEOR"] = meteor_of(counts)
    by_row |= _by_row(texts)
    for name, percent in (("ROUGE-L", True), ("CIDEr", False)):
        metrics.append(mean_metric(name, by_row[name], _source(texts), percent))
    return CocoMetrics(metrics, by_row, notes)


def _by_row(texts: TokenizedCaptions) -> dict[str, Floats]:
    """ROUGE-L and CIDEr of each row; the references of all rows give the document frequencies."""
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    # The library's tables: row -> its texts.
    found = {row: [hyp] for row, hyp in enumerate(texts.hyps)}
    wanted = {row: list(several) for row, several in enumerate(texts.refs)}
    # Without a word in any reference there are no document frequencies.
    some_word = any(ref for several in texts.refs for ref in several)
    cider = Cider().compute_score(wanted, found)[1] if some_word else np.zeros(len(found))
    return {"ROUGE-L": Rouge().compute_score(wanted, found)[1], "CIDEr": cider}


def _by_counts(texts: TokenizedCaptions) -> list[RowMetric]:
    """BLEU-1 to -4, from the counts of the library."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=ORDERS)
    for hyp, several in zip(texts.hyps, texts.refs, strict=True):
        scorer += (hyp, several)
    counts = [[*_lengths(one), *one["guess"], *one["correct"]] for one in scorer.ctest]
    return [
        _summed(f"BLEU-{order}", counts, partial(coco_bleu, order), texts)
        for order in range(1, ORDERS + 1)
    ]


def coco_bleu(order: int, sums: Floats) -> Floats:
    """BLEU of up to `order` words in [0, 1], as the library computes it from its counts.

    sums: (R, 10) words of hypotheses, of closest references, n-grams and matching n-grams for
    n = 1..4.  Returns (R,).
    """
    # What the library adds against division by zero: without a match it is just above 0.
    small, tiny = 1e-9, 1e-15
    hyp_words, ref_words = sums[:, 0], sums[:, 1]
    precisions = (sums[:, 2 + ORDERS :] + tiny) / (sums[:, 2 : 2 + ORDERS] + small)  # (R, 4)
    ratio = (hyp_words + tiny) / (ref_words + small)
    brevity = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    return np.asarray(brevity * precisions[:, :order].prod(axis=1) ** (1 / order))


def _lengths(counts: dict[str, Any]) -> tuple[int, int]:
    """Words of the hypothesis and of the reference next to it in length, the shorter of two."""
    words = counts["testlen"]
    return words, min(counts["reflen"], key=lambda length: (abs(length - words), length))


def _summed(name: str, counts: ArrayLike, score: OfCounts, texts: TokenizedCaptions) -> RowMetric:
    every = np.ones(len(texts.hyps), dtype=bool)
    return RowMetric(name, of_sums(counts, score), every, source=_source(texts))


def _source(texts: TokenizedCaptions) -> str:
    return f"{LIBRARY}, {texts.tokenizer}"


def _warn(problem: str) -> str:
    logger.warning("%s", problem)
    return problem
