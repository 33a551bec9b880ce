"""Tasks that choose a class."""

from typing import Any, Dict, List, Sequence

from biomedgpt_fairseq.tasks.base import Prediction
from biomedgpt_fairseq.tasks.class_counts import ClassCounts, log_class_metrics
from biomedgpt_fairseq.tasks.closed_set import ClosedSetTask


class ClassifyTask(ClosedSetTask):
    """Validates by accuracy, weighted F1 and AUC."""

    metric_name = "score"
    scored_as = "text_classify"
    digits = 3

    def sum_scores(self, predictions: Sequence[Prediction]) -> Dict[str, Any]:
        """Accuracy sums, and the counts that F1 and AUC are made of."""
        counts = ClassCounts.of(predictions, self.answers or [])
        return {**super().sum_scores(predictions), **counts.as_logs()}

    def reduce_metrics(self, logging_outputs: List[Dict[str, Any]], criterion: Any) -> None:
        super().reduce_metrics(logging_outputs, criterion)
        log_class_metrics(logging_outputs)
