"""Corpus BLEU, through the sacrebleu package."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
import sacrebleu

from biomedgpt_fairseq.metrics.bootstrap import Floats, RowMetric, of_sums

ORDERS = 4
SOURCE = "sacrebleu, 13a tokens"


def bleu(hyps: Sequence[str], refs: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU in 0..100 (13a tokens, exponential smoothing).

    refs: the references of each hypothesis; their number may differ.
    Raises ValueError if the lengths differ or a hypothesis has no reference.
    """
    return bleu_of(bleu_counts(hyps, refs))


def bleu_counts(hyps: Sequence[str], refs: Sequence[Sequence[str]]) -> list[float]:
    """What BLEU is made of, for `bleu_of`: ten counts that add up over parts of a corpus.

    Matching n-grams (n = 1..4), n-grams, words of the hypotheses and of the closest references.
    """
    check_pairs(hyps, refs)
    # sacrebleu wants the first references of all hypotheses, then the second ones, ...
    streams = [list(stream) for stream in zip_longest(*refs)]
    found = sacrebleu.corpus_bleu(list(hyps), streams)
    return [float(count) for count in (*found.counts, *found.totals, found.sys_len, found.ref_len)]


def bleu_of(counts: Sequence[float]) -> float:
    """Corpus BLEU in 0..100 from the counts of `bleu_counts`."""
    whole = [int(count) for count in counts]
    *ngrams, hyp_words, ref_words = whole
    found = sacrebleu.BLEU.compute_bleu(
        ngrams[:ORDERS], ngrams[ORDERS:], hyp_words, ref_words, smooth_method="exp"
    )
    return float(found.score)


def bleu_metric(hyps: Sequence[str], refs: Sequence[Sequence[str]]) -> RowMetric:
    """Corpus BLEU in 0..100 of any selection of rows."""
    counts = [bleu_counts([hyp], [several]) for hyp, several in zip(hyps, refs, strict=True)]

    def score(sums: Floats) -> Floats:
        return np.array([bleu_of(row) for row in sums.tolist()])

    every = np.ones(len(hyps), dtype=bool)
    return RowMetric("BLEU", of_sums(counts, score), every, percent=False, source=SOURCE)


def check_pairs(hyps: Sequence[str], refs: Sequence[Sequence[str]]) -> None:
    """Raise ValueError unless each hypothesis has at least one reference."""
    if len(hyps) != len(refs) or not hyps:
        raise ValueError(f"need as many references as hypotheses, found {len(refs)}, {len(hyps)}")
    empty = [place for place, several in enumerate(refs) if not several]
    if empty:
        raise ValueError(f"{len(empty)} hypotheses have no reference (first: number {empty[0]})")
