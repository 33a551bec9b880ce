"""Corpus BLEU, through the sacrebleu package."""

from collections.abc import Sequence
from itertools import zip_longest

import sacrebleu


def bleu(hyps: Sequence[str], refs: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU in 0..100 (13a tokens, exponential smoothing).

    refs: the references of each hypothesis; their number may differ.
    Raises ValueError if the lengths differ or a hypothesis has no reference.
    """
    check_pairs(hyps, refs)
    # sacrebleu wants the first references of all hypotheses, then the second ones, ...
    streams = [list(stream) for stream in zip_longest(*refs)]
    return float(sacrebleu.corpus_bleu(list(hyps), streams).score)


def check_pairs(hyps: Sequence[str], refs: Sequence[Sequence[str]]) -> None:
    """Raise ValueError unless each hypothesis has at least one reference."""
    if len(hyps) != len(refs) or not hyps:
        raise ValueError(f"need as many references as hypotheses, found {len(refs)}, {len(hyps)}")
    empty = [place for place, several in enumerate(refs) if not several]
    if empty:
        raise ValueError(f"{len(empty)} hypotheses have no reference (first: number {empty[0]})")
