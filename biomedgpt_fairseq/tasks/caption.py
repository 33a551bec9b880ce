"""Captions of images."""

from dataclasses import replace
from typing import Any, Dict, List, Optional, Sequence

import torch
from fairseq.logging import metrics
from fairseq.tasks import register_task

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.examples import (
    CAPTION_COLUMNS,
    RowOptions,
    caption_references,
    make_caption_example,
)
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.metrics import rouge
from biomedgpt_fairseq.metrics.bleu import bleu_counts, bleu_of
from biomedgpt_fairseq.metrics.frequencies import Frequencies, read_frequencies
from biomedgpt_fairseq.tasks.base import parse_generation_args
from biomedgpt_fairseq.tasks.closed_set import log_ratio
from biomedgpt_fairseq.tasks.free_text import FreeTextTask
from biomedgpt_fairseq.tasks.input_form import InputForm
from biomedgpt_fairseq.tasks.options import CaptionOptions
from biomedgpt_fairseq.tasks.rows import TRAIN
from biomedgpt_fairseq.text.normalize import normalize_caption
from biomedgpt_fairseq.text.tokenizer import Tokenizer

BLEU_COUNTS = "_bleu_counts"


@register_task("caption", dataclass=CaptionOptions)
class CaptionTask(FreeTextTask):
    """Validation scores are those of the whole split, from sums that add up over batches and ranks.

    CIDEr-D needs the references of all rows before the first is scored: every rank reads them from
    the file, so all log the same number.
    """

    instruction = "caption"
    metric_name = "cider"
    scored_as = "caption"
    input_form = InputForm(("id", "image"))
    make_example = staticmethod(make_caption_example)

    def __init__(self, cfg: CaptionOptions, tokenizer: Tokenizer) -> None:
        super().__init__(cfg, tokenizer)
        self._frequencies: Optional[Frequencies] = None

    def row_options(self, split: str) -> RowOptions:
        every = split != TRAIN or self.cfg.scst
        return replace(super().row_options(split), all_references=every)

    def frequencies(self) -> Frequencies:
        """Document frequencies of the given file, or of the references of the validation split."""
        if self._frequencies is None:
            if self.cfg.eval_cider_cached_tokens:
                self._frequencies = read_frequencies(self.cfg.eval_cider_cached_tokens)
            else:
                self._frequencies = Frequencies.of(self.references([self.data_path("valid")]))
        return self._frequencies

    def training_paths(self) -> List[str]:
        """The files of all training epochs."""
        files = len([path for path in (self.cfg.data or "").split(",") if path])
        return [self.data_path(TRAIN, epoch) for epoch in range(1, max(files, 2))]

    def build_scst_generator(self, model: Any) -> Any:
        """What draws the texts of self-critical training.  Raises ValueError for a single one."""
        args = parse_generation_args(self.cfg.scst_args)
        generator = self.build_generator([model], args)
        if generator.beam_size < 2:
            raise ValueError("--scst-args must ask for a beam of at least 2 texts to compare")
        return generator

    def references(self, paths: Sequence[str]) -> List[List[str]]:
        """References of every row of the files, in the form in which they are scored."""
        # Original: frequencies of a shipped cache, with case; here: of the references themselves.
        reader = TsvReader(paths, self.cfg.selected_cols)
        column = CAPTION_COLUMNS.index("caption")
        found = []
        for i in range(len(reader)):
            try:
                texts = caption_references(reader[i][column])
            except BadRow as error:
                raise error.at(*reader.locate(i)) from None
            found.append([normalize_caption(text) for text in texts])
        return found

    def validation_scores(self, model: Any, sample: Dict[str, Any]) -> Dict[str, Any]:
        """Sums of CIDEr-D, ROUGE-L and BLEU when --eval-cider or --eval-bleu."""
        if not (self.cfg.eval_cider or self.cfg.eval_bleu):
            return {}
        found = self.generate_texts(model, sample)
        hyps = [normalize_caption(one.answer) for one in found]
        refs = [[normalize_caption(text) for text in one.references] for one in found]
        # Several references: the best counts, as in the evaluation.
        best = [
            max(rouge(h, ref)["rougeL"].f for ref in r) for h, r in zip(hyps, refs, strict=True)
        ]
        sums: Dict[str, Any] = {"_caption_cnt": len(found), "_rougeL_f1": 100 * sum(best)}
        if self.cfg.eval_cider:
            sums["_cider"] = float(self.frequencies().cider_d(hyps, refs).sum())
        if self.cfg.eval_bleu:
            sums[BLEU_COUNTS] = torch.tensor(bleu_counts(hyps, refs), dtype=torch.float64)
        return sums

    def reduce_metrics(self, logging_outputs: List[Dict[str, Any]], criterion: Any) -> None:
        super().reduce_metrics(logging_outputs, criterion)
        for name, digits in (("cider", 4), ("rougeL_f1", 4)):
            if any(f"_{name}" in log for log in logging_outputs):
                log_ratio(name, logging_outputs, f"_{name}", "_caption_cnt", digits)
        counts = [log[BLEU_COUNTS].cpu() for log in logging_outputs if BLEU_COUNTS in log]
        if counts:
            metrics.log_scalar_sum(BLEU_COUNTS, torch.stack(counts).sum(0))
            metrics.log_derived(
                "bleu", lambda meters: round(bleu_of(meters[BLEU_COUNTS].sum.tolist()), 4)
            )
