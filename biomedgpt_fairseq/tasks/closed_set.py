"""Tasks whose answer comes from a closed set: candidates, constrained search, validation scores."""

import logging
from typing import Any, ClassVar, Dict, List, Optional, Sequence, Tuple

import torch
from fairseq.logging import metrics
from torch import Tensor

from biomedgpt_fairseq.data.answers import find_unknown_answers
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.decoding.all_candidates import score_candidates
from biomedgpt_fairseq.metrics.answers import match_score
from biomedgpt_fairseq.tasks.answer_set import load_answers
from biomedgpt_fairseq.tasks.base import BiomedTask, Prediction
from biomedgpt_fairseq.tasks.options import ClosedSetOptions
from biomedgpt_fairseq.tasks.row_subset import RowSubset
from biomedgpt_fairseq.tasks.rows import TRAIN
from biomedgpt_fairseq.text.tokenizer import Tokenizer
from biomedgpt_fairseq.text.trie import build_answer_trie

logger = logging.getLogger(__name__)

SHOWN = 5


class ClosedSetTask(BiomedTask):
    """Scores every candidate, or searches on the trie of the candidates."""

    answer_column: ClassVar[Optional[int]] = None
    """Position of the answer among the selected columns; None: not checked before training."""
    parse_answer: ClassVar["staticmethod[[str], str]"] = staticmethod(str)
    ratios: ClassVar[Dict[str, Tuple[str, str]]] = {"score": ("_score_sum", "_score_cnt")}
    """Logged metric -> the sum and the count that it is the ratio of."""
    digits: ClassVar[int] = 4
    """Decimals of the logged metrics."""

    def __init__(self, cfg: ClosedSetOptions, tokenizer: Tokenizer) -> None:
        super().__init__(cfg, tokenizer)
        self._extended = False
        if not getattr(cfg, "unconstrained_training", False):
            answers = load_answers(cfg.ans2label_dict, cfg.ans2label_file, cfg.allow_test_answers)
            self.set_answers(answers)
        elif cfg.val_inference_type != "beamsearch":
            raise ValueError("--unconstrained-training needs --val-inference-type beamsearch")

    def set_answers(self, answers: List[str]) -> None:
        """Make these the candidates, in this order."""
        self.answers = answers
        self.trie = build_answer_trie(self.tokenizer, answers)

    def load_dataset(
        self, split: str, combine: bool = False, epoch: int = 1, **kwargs: Any
    ) -> None:
        """Open the rows of a split, after the answer set is complete."""
        if self.cfg.on_unknown_answer == "extend" and not self._extended:
            self._extend_answers()
        super().load_dataset(split, combine, epoch, **kwargs)

    def load_state_dict(self, state_dict: Dict[str, Any]) -> None:
        """Take over the answers that training added to the set."""
        super().load_state_dict(state_dict)
        if "answers" in state_dict and self.answers is not None:
            self.set_answers(list(state_dict["answers"]))
            self._extended = True

    def _extend_answers(self) -> None:
        """Add the answers of all training files; never those of the evaluated file."""
        self._extended = True
        paths = [path for path in (self.cfg.data or "").split(",") if path][:-1]
        for path in paths:
            reader = TsvReader(path, self.cfg.selected_cols)
            added = list(dict.fromkeys(answer for _, answer in self._unknown(reader)))
            if added:
                logger.warning("%s: %d answers added to the closed set", path, len(added))
                self.set_answers([*(self.answers or []), *added])
                self.state.merge_state_dict({"answers": self.answers})

    def _unknown(self, reader: TsvReader) -> List[tuple[int, str]]:
        if self.answers is None or self.answer_column is None:
            return []
        parse = self.parse_answer
        return find_unknown_answers(reader, self.answer_column, set(self.answers), parse)

    def check_rows(self, reader: TsvReader, split: str) -> Any:
        """Apply --on-unknown-answer to training rows; count unknown answers elsewhere."""
        unknown = self._unknown(reader)
        if not unknown:
            return reader
        distinct = list(dict.fromkeys(answer for _, answer in unknown))
        found = (
            f"{self.data_path(split)}: {len(unknown)} of {len(reader)} rows have an answer outside "
            f"the {len(self.answers or [])} of the closed set: "
            f"{', '.join(map(repr, distinct[:SHOWN]))}"
        )
        if split != TRAIN:
            logger.warning("%s; they have no loss and count as wrong", found)
            return reader
        if self.cfg.on_unknown_answer == "drop":
            logger.warning("%s; these rows are dropped", found)
            return RowSubset(reader, without=[row for row, _ in unknown])
        path, row = reader.locate(unknown[0][0])
        raise ValueError(
            f"{found}; the first is {path}:{row}. Give the full set by --ans2label-file, or choose "
            "--on-unknown-answer drop or extend"
        )

    def score_candidates(self, models: Sequence[Any], sample: Dict[str, Any]) -> Tensor:
        """Log-probability (B, K) of each answer, among the answers, after the decoder prompt.

        Raises ValueError without a closed set.
        """
        if self.trie is None:
            raise ValueError("candidates can be scored only with a closed answer set")
        rows = sample["net_input"]["src_tokens"].size(0)
        prompts = sample.get("decoder_prompts") or [[self.dictionary.bos()]] * rows
        with torch.no_grad():
            return score_candidates(
                models, sample["net_input"], prompts, self.trie, self.cfg.valid_batch_size
            )

    def predict(self, models: Sequence[Any], sample: Dict[str, Any]) -> List[Prediction]:
        """Answer of every row: the best candidate, or the search's best hypothesis."""
        if self.answers is None or self.cfg.val_inference_type == "beamsearch":
            return super().predict(models, sample)
        scores = self.score_candidates(models, sample)  # (B, K)
        best = scores.argmax(1).tolist()
        # Scores are log-probabilities over the leaves of one tree: they already sum to one.
        shares = scores.double().softmax(1).tolist()
        values = scores.tolist()
        return [
            Prediction(str(row_id), self.answers[k], values[i][k], gold, references, shares[i])
            for i, (row_id, k, gold, references) in enumerate(
                zip(
                    sample["id"], best, sample["target_strs"], self._references(sample), strict=True
                )
            )
        ]

    def validation_scores(self, model: Any, sample: Dict[str, Any]) -> Dict[str, Any]:
        """Sum and count of the answers' scores."""
        return self.sum_scores(self.predict([model], sample))

    def sum_scores(self, predictions: Sequence[Prediction]) -> Dict[str, Any]:
        total = sum(match_score(p.answer, p.references) for p in predictions)
        return {"_score_sum": float(total), "_score_cnt": len(predictions)}

    def reduce_metrics(self, logging_outputs: List[Dict[str, Any]], criterion: Any) -> None:
        super().reduce_metrics(logging_outputs, criterion)
        for name, (numerator, denominator) in self.ratios.items():
            log_ratio(name, logging_outputs, numerator, denominator, self.digits)


def log_ratio(
    name: str, logs: List[Dict[str, Any]], numerator: str, denominator: str, digits: int
) -> None:
    """Log the ratio of two sums that are exact over batches and workers; nothing when empty."""
    count = sum(float(log.get(denominator, 0)) for log in logs)
    if count == 0:
        return
    # Each ratio has meters of its own: ratios of one count would add it up once for each.
    above, below = f"_{name}_total", f"_{name}_count"
    metrics.log_scalar_sum(above, sum(float(log.get(numerator, 0)) for log in logs))
    metrics.log_scalar_sum(below, count)
    metrics.log_derived(name, lambda meters: round(meters[above].sum / meters[below].sum, digits))
