"""Metrics of free text: captions and summaries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from biomedgpt_fairseq.metrics import cider_d, rouge
from biomedgpt_fairseq.metrics.bleu import bleu_metric
from biomedgpt_fairseq.metrics.bootstrap import mean_metric
from biomedgpt_fairseq.metrics.rouge import KINDS
from biomedgpt_fairseq.report.scored import Predicted, Scored, make_row, references_of
from biomedgpt_fairseq.text.normalize import normalize_caption


def score_texts(task: str, predictions: Sequence[Predicted]) -> Scored:
    """ROUGE, BLEU and, of captions, CIDEr-D."""

    def clean(text: str) -> str:
        return normalize_caption(text) if task == "caption" else text.strip().lower()

    hyps = [clean(p.answer) for p in predictions]
    refs = [[clean(text) for text in references_of(p)] for p in predictions]
    pairs = [[rouge(h, ref) for ref in several] for h, several in zip(hyps, refs, strict=True)]
    # The best of several references counts, as in the usual scorers of captions.
    overlap = np.array([[max(one[kind].f for one in s) for kind in KINDS] for s in pairs])  # (N, 3)
    metrics = [
        mean_metric(f"{kind} F1", overlap[:, k], "rouge-score") for k, kind in enumerate(KINDS)
    ]
    if task == "caption":
        metrics.append(mean_metric("CIDEr-D", cider_d(hyps, refs), percent=False))
    metrics.append(bleu_metric(hyps, refs))
    rows = [
        make_row(p, value) for p, value in zip(predictions, overlap[:, -1].tolist(), strict=True)
    ]
    return Scored(rows, metrics)
