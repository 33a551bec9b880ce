"""What all tasks share: the steps that the trainer calls, generation and prediction."""

import json
import logging
from argparse import Namespace
from typing import Any, ClassVar, Dict, List, NamedTuple, Optional, Sequence

import torch
from torch import Tensor

from biomedgpt_fairseq.criterions.label_smoothed import parse_range
from biomedgpt_fairseq.data.memory import keep_freed_memory
from biomedgpt_fairseq.decoding.box_grammar import BoxRules
from biomedgpt_fairseq.decoding.fairseq_generator import BeamGenerator, build_generator
from biomedgpt_fairseq.fairseq_bad_updates import LossWatch
from biomedgpt_fairseq.fairseq_interruption import StopRequest
from biomedgpt_fairseq.tasks.input_form import InputForm
from biomedgpt_fairseq.tasks.options import TaskOptions
from biomedgpt_fairseq.tasks.rows import RowsTask
from biomedgpt_fairseq.text.tokenizer import Tokenizer

logger = logging.getLogger(__name__)


class Prediction(NamedTuple):
    """Answer to one row.

    score: log-probability of the answer (normalised as the generator was told).
    probabilities: of all answers of the closed set, in their order, when they were all scored.
    """

    row_id: str
    answer: str
    score: float
    gold: str
    references: Dict[str, float]
    probabilities: Optional[List[float]] = None


class BiomedTask(RowsTask):
    """A task is an instruction, a row builder and a metric; this is what surrounds them."""

    metric_name: ClassVar[str]
    """The main metric of validation, by its name in the log."""
    scored_as: ClassVar[str]
    """Released task whose metrics `biomedgpt evaluate` computes for this one."""
    input_form: ClassVar[Optional[InputForm]] = None
    """What `biomedgpt predict` asks for; None: nothing can be predicted."""

    def __init__(self, cfg: TaskOptions, tokenizer: Tokenizer) -> None:
        super().__init__(cfg, tokenizer)
        self._prompted: Optional[BeamGenerator] = None
        self.stop = StopRequest()
        self.loss_watch = LossWatch()

    def begin_epoch(self, epoch: int, model: Any) -> None:
        """Hook of the trainer."""
        super().begin_epoch(epoch, model)
        if next(model.parameters()).device.type == "cpu":
            keep_freed_memory()

    def train_step(
        self,
        sample: Any,
        model: Any,
        criterion: Any,
        optimizer: Any,
        update_num: int,
        ignore_grad: bool = False,
        **extra: Any,
    ) -> tuple[Tensor, Any, Dict[str, Any]]:
        """Forward and backward.  Unlike stock, the criterion is told the update number."""
        model.train()
        model.set_num_updates(update_num)
        with torch.autograd.profiler.record_function("forward"):
            loss, sample_size, log = criterion(model, sample, update_num=update_num)
        if ignore_grad:
            loss = loss * 0
        with torch.autograd.profiler.record_function("backward"):
            optimizer.backward(self.loss_watch.watch(loss))
        self.stop.report(log)
        return loss, sample_size, log

    def reduce_metrics(self, logging_outputs: List[Dict[str, Any]], criterion: Any) -> None:
        """Log what the criterion makes of the sums over all workers."""
        super().reduce_metrics(logging_outputs, criterion)
        self.stop.agree(logging_outputs)

    def valid_step(
        self, sample: Any, model: Any, criterion: Any, ema_model: Any = None, **extra: Any
    ) -> tuple[Tensor, Any, Dict[str, Any]]:
        """Loss of the plain weights; scores of the averaged ones when --uses-ema."""
        model.eval()
        with torch.no_grad():
            loss, sample_size, log = criterion(model, sample)
            scorer = ema_model if ema_model is not None else model
            log.update(self.validation_scores(scorer.eval(), sample))
        return loss, sample_size, log

    def validation_scores(self, model: Any, sample: Dict[str, Any]) -> Dict[str, Any]:
        """Hook: sums and counts of the task's metric over a validation batch."""
        return {}

    # Generation.

    def box_rules(self) -> Optional[BoxRules]:
        """Hook: what answers may be that are boxes."""
        return None

    def build_generator(
        self,
        models: Sequence[Any],
        args: Any,
        seq_gen_cls: Any = None,
        extra_gen_cls_kwargs: Optional[Dict[str, Any]] = None,
        prefix_allowed_tokens_fn: Any = None,
    ) -> Any:
        """Beam search, or fairseq's scorer of given targets for --score-reference."""
        if getattr(args, "score_reference", False):
            return super().build_generator(models, args)
        if prefix_allowed_tokens_fn is not None:
            args = Namespace(**vars(args), prefix_allowed_tokens_fn=prefix_allowed_tokens_fn)
        generator = build_generator(
            self.tokenizer.vocab,
            args,
            trie=self.trie,
            constraint_range=parse_range(self.cfg.constraint_range),
            boxes=self.box_rules(),
        )
        # fairseq's own programs know nothing of decoder prompts: there the batch brings them.
        self._prompted = generator if hasattr(args, "prefix_size") else None
        return generator

    def inference_step(
        self,
        generator: Any,
        models: Sequence[Any],
        sample: Dict[str, Any],
        prefix_tokens: Optional[Tensor] = None,
        constraints: Any = None,
    ) -> List[List[Dict[str, Tensor]]]:
        """Hypotheses per sentence, best first."""
        if prefix_tokens is None and generator is self._prompted:
            prefix_tokens = sample.get("prefix_tokens")
        with torch.no_grad():
            return generator.generate(
                models, sample, prefix_tokens=prefix_tokens, constraints=constraints
            )

    def search_texts(
        self, models: Sequence[Any], sample: Dict[str, Any], top_k: int = 1
    ) -> List[List[tuple[str, float]]]:
        """Texts and scores of the best hypotheses of each sentence, without its prompt."""
        generator = self.build_generator(models, parse_generation_args(self.cfg.eval_args))
        prefix = sample.get("prefix_tokens")
        hypotheses = self.inference_step(generator, models, sample, prefix_tokens=prefix)
        forced = [0] * len(hypotheses)
        if prefix is not None:
            forced = prefix.ne(self.dictionary.pad()).sum(1).tolist()
        return [
            [
                (self.tokenizer.decode(found["tokens"][length:]).strip(), float(found["score"]))
                for found in ranked[:top_k]
            ]
            for length, ranked in zip(forced, hypotheses, strict=True)
        ]

    def predict(self, models: Sequence[Any], sample: Dict[str, Any]) -> List[Prediction]:
        """Answer of every row of the batch, in its order."""
        texts = self.search_texts(models, sample)
        return [
            Prediction(str(row_id), text, score, gold, references)
            for row_id, [(text, score)], gold, references in zip(
                sample["id"], texts, sample["target_strs"], self._references(sample), strict=True
            )
        ]

    def _references(self, sample: Dict[str, Any]) -> List[Dict[str, float]]:
        return sample.get("ref_dict") or [{gold: 1.0} for gold in sample["target_strs"]]


def parse_generation_args(text: Optional[str]) -> Namespace:
    """Generation options from JSON."""
    try:
        options = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"--eval-args must be JSON such as '{{\"beam\": 5}}': {error}") from error
    if not isinstance(options, dict):
        raise ValueError(f"--eval-args must be a JSON object, found {text!r}")
    return Namespace(**options)
