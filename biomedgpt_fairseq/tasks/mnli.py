"""Inference between two texts: entailment, contradiction or neither."""

import json
from dataclasses import replace
from typing import List, cast

from fairseq.tasks import register_task

from biomedgpt_fairseq.data.examples import RowOptions, make_nli_example
from biomedgpt_fairseq.tasks.closed_set import ClosedSetTask
from biomedgpt_fairseq.tasks.input_form import InputForm
from biomedgpt_fairseq.tasks.options import MnliOptions
from biomedgpt_fairseq.text.tokenizer import Tokenizer

LABELS = ("0", "1", "2")


@register_task("mnli", dataclass=MnliOptions)
class MnliTask(ClosedSetTask):
    instruction = "mnli"
    metric_name = "acc"
    scored_as = "mnli"
    input_form = InputForm(("text", "text"), ("0",))
    ratios = {"acc": ("_score_sum", "_score_cnt")}
    make_example = staticmethod(make_nli_example)

    def __init__(self, cfg: MnliOptions, tokenizer: Tokenizer) -> None:
        super().__init__(cfg, tokenizer)
        self.words = label_words(self.answers or [], cfg.ans2label_dict or "{}")

    def row_options(self, split: str) -> RowOptions:
        return replace(super().row_options(split), nli_words=self.words)


def label_words(answers: List[str], mapping: str) -> tuple[str, str, str]:
    """The answer word of the labels 0, 1 and 2."""
    try:
        labels = json.loads(mapping)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"--ans2label-dict must be a JSON map of answers: {error}") from error
    by_label = (
        {str(label): word for word, label in labels.items()} if isinstance(labels, dict) else {}
    )
    words = tuple(by_label.get(label, "") for label in LABELS)
    if set(words) != set(answers) or len(answers) != len(LABELS):
        raise ValueError(
            "--ans2label-dict must give one answer word for each of the labels 0, 1 and 2, "
            f"found {mapping}"
        )
    return cast(tuple[str, str, str], words)
