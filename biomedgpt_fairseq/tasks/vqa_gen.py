"""Visual question answering, from a closed set or in free text."""

from dataclasses import replace
from typing import Any, Dict, Sequence

from fairseq.tasks import register_task

from biomedgpt_fairseq.data.answers import training_answer
from biomedgpt_fairseq.data.examples import VQA_COLUMNS, RowOptions, make_vqa_example
from biomedgpt_fairseq.metrics.answers import is_closed, match_score
from biomedgpt_fairseq.tasks.base import Prediction
from biomedgpt_fairseq.tasks.closed_set import ClosedSetTask
from biomedgpt_fairseq.tasks.input_form import InputForm
from biomedgpt_fairseq.tasks.options import VqaOptions


@register_task("vqa_gen", dataclass=VqaOptions)
class VqaTask(ClosedSetTask):
    instruction = "vqa"
    metric_name = "vqa_score"
    scored_as = "vqa_gen"
    input_form = InputForm(("id", "image", "question"), ("1.0|!+{answer}", ""))
    make_example = staticmethod(make_vqa_example)
    answer_column = VQA_COLUMNS.index("answers")
    ratios = {
        "vqa_score": ("_vqa_score_sum", "_vqa_cnt"),
        "closed_score": ("_closed_score_sum", "_closed_cnt"),
        "open_score": ("_open_score_sum", "_open_cnt"),
    }
    parse_answer = staticmethod(training_answer)

    def row_options(self, split: str) -> RowOptions:
        return replace(
            super().row_options(split),
            add_object=self.cfg.add_object,
            max_object_length=self.cfg.max_object_length,
        )

    def sum_scores(self, predictions: Sequence[Prediction]) -> Dict[str, Any]:
        """Sums and counts over all, closed (yes or no) and open questions."""
        sums = {"_vqa_score_sum": 0.0, "_vqa_cnt": len(predictions)}
        for kind in ("closed", "open"):
            sums |= {f"_{kind}_score_sum": 0.0, f"_{kind}_cnt": 0}
        for prediction in predictions:
            score = float(match_score(prediction.answer, prediction.references))
            kind = "closed" if is_closed(prediction.references) else "open"
            sums["_vqa_score_sum"] += score
            sums[f"_{kind}_score_sum"] += score
            sums[f"_{kind}_cnt"] += 1
        return sums
