"""Image classification: the label is written as text, restricted to the label set."""

from typing import Any, Dict, List, Optional, Sequence

from fairseq.tasks import register_task

from biomedgpt_fairseq.data.augment import build_augmentation
from biomedgpt_fairseq.data.examples import CLASSIFY_COLUMNS, make_classify_example
from biomedgpt_fairseq.data.image import Augmentation
from biomedgpt_fairseq.tasks.base import Prediction
from biomedgpt_fairseq.tasks.class_counts import ClassCounts, log_class_metrics
from biomedgpt_fairseq.tasks.closed_set import ClosedSetTask
from biomedgpt_fairseq.tasks.options import ImageClassifyOptions
from biomedgpt_fairseq.tasks.rows import TRAIN


@register_task("image_classify", dataclass=ImageClassifyOptions)
class ImageClassifyTask(ClosedSetTask):
    instruction = "image_classify"
    metric_name = "score"
    make_example = staticmethod(make_classify_example)
    answer_column = CLASSIFY_COLUMNS.index("label")
    digits = 3

    def augmentation(self, split: str) -> Optional[Augmentation]:
        if split != TRAIN:
            return None
        return build_augmentation(str(self.cfg.augmentation), self.image_mean, self.image_std)

    def sum_scores(self, predictions: Sequence[Prediction]) -> Dict[str, Any]:
        """Accuracy sums, and the counts that F1 and AUC are made of."""
        counts = ClassCounts.of(predictions, self.answers or [])
        return {**super().sum_scores(predictions), **counts.as_logs()}

    def reduce_metrics(self, logging_outputs: List[Dict[str, Any]], criterion: Any) -> None:
        super().reduce_metrics(logging_outputs, criterion)
        log_class_metrics(logging_outputs)
