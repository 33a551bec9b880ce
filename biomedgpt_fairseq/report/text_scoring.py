"""Metrics of free text: captions and summaries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from biomedgpt_fairseq.metrics import cider_d, rouge
from biomedgpt_fairseq.metrics.bleu import bleu_metric
from biomedgpt_fairseq.metrics.bootstrap import mean_metric
from biomedgpt_fairseq.metrics.coco import coco_metrics
from biomedgpt_fairseq.metrics.rouge import KINDS
from biomedgpt_fairseq.report.scored import Predicted, Scored, make_row, references_of
from biomedgpt_fairseq.text.normalize import normalize_caption

ROUGE_SOURCE = "rouge-score, stemmed words"


def score_texts(task: str, predictions: Sequence[Predicted], with_meteor: bool = True) -> Scored:
    """ROUGE and BLEU; of captions also CIDEr-D and the metrics of the COCO evaluation."""

    def clean(text: str) -> str:
        return normalize_caption(text) if task == "caption" else text.strip().lower()

    given = [list(references_of(p)) for p in predictions]
    hyps = [clean(p.answer) for p in predictions]
    refs = [[clean(text) for text in several] for several in given]
    pairs = [[rouge(h, ref) for ref in several] for h, several in zip(hyps, refs, strict=True)]
    # The best of several references counts, as in the usual scorers of captions.
    overlap = np.array([[max(one[kind].f for one in s) for kind in KINDS] for s in pairs])  # (N, 3)
    by_row = {f"{kind} F1": overlap[:, k] for k, kind in enumerate(KINDS)}
    metrics = [mean_metric(name, values, ROUGE_SOURCE) for name, values in by_row.items()]
    notes: Sequence[str] = ()
    if task == "caption":
        by_row["CIDEr-D"] = cider_d(hyps, refs)
        metrics.append(mean_metric("CIDEr-D", by_row["CIDEr-D"], "own", percent=False))
    metrics.append(bleu_metric(hyps, refs))
    if task == "caption":
        coco = coco_metrics([p.answer for p in predictions], given, with_meteor)
        metrics, notes = [*metrics, *coco.metrics], coco.notes
        by_row |= coco.by_row
    columns = {name: values.tolist() for name, values in by_row.items()}
    rows = [
        make_row(p, columns["rougeL F1"][i], {name: v[i] for name, v in columns.items()})
        for i, p in enumerate(predictions)
    ]
    return Scored(rows, metrics, notes)
