"""Summarisation of text."""

from dataclasses import replace
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np
import torch
from fairseq.tasks import register_task

from biomedgpt_fairseq.data.collate import PackedBatch
from biomedgpt_fairseq.data.examples import Example, RowOptions, make_summary_example
from biomedgpt_fairseq.data.fairseq_dataset import RowDataset
from biomedgpt_fairseq.metrics import rouge
from biomedgpt_fairseq.tasks.closed_set import log_ratio
from biomedgpt_fairseq.tasks.free_text import FreeTextTask
from biomedgpt_fairseq.tasks.input_form import InputForm
from biomedgpt_fairseq.tasks.options import SummaryOptions
from biomedgpt_fairseq.tasks.rows import TRAIN

ROUGE_KINDS = ("rouge1", "rouge2", "rougeL")


@register_task("gigaword", dataclass=SummaryOptions)
class SummaryTask(FreeTextTask):
    instruction = "summary"
    metric_name = "rougeL_f1"
    scored_as = "gigaword"
    input_form = InputForm(("text",))
    make_example = staticmethod(make_summary_example)

    def row_options(self, split: str) -> RowOptions:
        # Original: noise in validation too; here in training only, so that losses compare.
        noise = self.cfg.noise_ratio if split == TRAIN else 0.0
        return replace(super().row_options(split), noise_ratio=noise)

    def validation_scores(self, model: Any, sample: Dict[str, Any]) -> Dict[str, Any]:
        """Sums of ROUGE recall and F1, in percent, when --eval-rouge."""
        if not self.cfg.eval_rouge:
            return {}
        sums: Dict[str, Any] = {"_rouge_cnt": 0}
        for prediction in self.generate_texts(model, sample):
            scores = rouge(prediction.answer.lower(), prediction.gold)
            sums["_rouge_cnt"] += 1
            for kind in ROUGE_KINDS:
                _, recall, f1 = scores[kind]
                for name, value in ((f"_{kind}_recall", recall), (f"_{kind}_f1", f1)):
                    sums[name] = sums.get(name, 0.0) + 100 * value
        return sums

    def reduce_metrics(self, logging_outputs: List[Dict[str, Any]], criterion: Any) -> None:
        super().reduce_metrics(logging_outputs, criterion)
        for kind in ROUGE_KINDS:
            for part in ("recall", "f1"):
                name = f"{kind}_{part}"
                log_ratio(name, logging_outputs, f"_{name}", "_rouge_cnt", 4)

    # fairseq-interactive.

    def get_interactive_tokens_and_lengths(
        self, lines: Sequence[str], encode_fn: Callable[[str], str]
    ) -> Tuple[List[torch.Tensor], List[int]]:
        """Source ids of plain lines, with the instruction around each."""
        tools, options = self.row_tools("test"), self.row_options("test")
        rng = np.random.default_rng(self.cfg.seed)
        sources = [
            make_summary_example([line, line], i, tools, options, rng).source
            for i, line in enumerate(lines)
        ]
        return sources, [len(source) for source in sources]

    def build_dataset_for_inference(
        self, src_tokens: List[torch.Tensor], src_lengths: List[int], **kwargs: Any
    ) -> RowDataset:
        """Sources as a dataset without targets."""
        empty = torch.tensor([self.dictionary.eos()])

        def build(row: torch.Tensor, rng: np.random.Generator, index: int) -> Example:
            return Example(str(index), row, torch.tensor([self.dictionary.bos()]), empty, None)

        return _Lines(src_tokens, build, pad=self.dictionary.pad(), seed=self.cfg.seed)


class _Lines(RowDataset):
    """Lines of text.  Their ids are numbers: fairseq-interactive adds the lines read before."""

    def pack(self, samples: Sequence[Example]) -> Any:
        packed = super().pack(samples)
        if isinstance(packed, PackedBatch):
            ids = [int(row_id) for row_id in packed.batch["id"]]
            packed.batch["id"] = np.array(ids, dtype=object)
        return packed
