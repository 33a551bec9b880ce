"""`scst_reward_criterion`: self-critical training of captions towards CIDEr-D."""

from dataclasses import dataclass, field
from typing import Any, Dict, List, NamedTuple, Optional

import torch
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from omegaconf import II
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from biomedgpt_fairseq.criterions.label_smoothed import parse_range
from biomedgpt_fairseq.criterions.network import run_network
from biomedgpt_fairseq.criterions.reduction import Log, total
from biomedgpt_fairseq.losses.label_smoothing import columns_of, select_tokens, window_columns
from biomedgpt_fairseq.losses.logits import select_columns, width
from biomedgpt_fairseq.losses.self_critical import leave_one_out, self_critical_loss
from biomedgpt_fairseq.metrics.frequencies import Frequencies, read_frequencies
from biomedgpt_fairseq.text.normalize import normalize_caption

END = " <eos>"
"""Scored as a word, so that texts without an end earn less."""


@dataclass
class ScstOptions(FairseqDataclass):
    """Options of the criterion."""

    # Original: by default a pickled cache of another data set, which could run code.
    scst_cider_cached_tokens: Optional[str] = field(
        default=None,
        metadata={"help": "document frequencies as JSON (default: the training references)"},
    )
    ignore_prefix_size: int = field(
        default=0, metadata={"help": "leave out the first N target positions"}
    )
    sentence_avg: bool = II("optimization.sentence_avg")
    constraint_range: Optional[str] = field(
        default=None, metadata={"help": "'start,end': only these vocabulary ids are possible"}
    )


class Samples(NamedTuple):
    """Generated texts of a batch."""

    tokens: Tensor  # (N, T) with eos, then pad
    scores: Tensor  # (N,) CIDEr-D
    counts: List[int]  # samples of each picture


@register_criterion("scst_reward_criterion", dataclass=ScstOptions)
class ScstCriterion(FairseqCriterion):
    """-sum(reward * log p) over texts that the model itself generates.

    The reward of a text is its CIDEr-D minus the mean of the picture's other texts.
    """

    def __init__(self, cfg: ScstOptions, task: Any) -> None:
        super().__init__(task)
        if not getattr(task.cfg, "scst", False):
            raise ValueError("--criterion scst_reward_criterion needs --task caption with --scst")
        self.cfg = cfg
        self.bos = task.target_dictionary.bos()
        self.window = parse_range(cfg.constraint_range or task.cfg.constraint_range)
        self._generator: Any = None
        self._frequencies: Optional[Frequencies] = None

    def forward(
        self, model: Any, sample: Dict[str, Any], update_num: int = 0, reduce: bool = True
    ) -> tuple[Tensor, int, Log]:
        """Loss, the divisor of its gradient, and summable values for the log."""
        samples = self._generate(model, sample)
        repeats = torch.tensor(samples.counts, device=samples.tokens.device)
        net_input = {
            name: value.repeat_interleave(repeats, 0) if torch.is_tensor(value) else value
            for name, value in sample["net_input"].items()
        }
        start = torch.full_like(samples.tokens[:, :1], self.bos)
        net_input["prev_output_tokens"] = torch.cat([start, samples.tokens[:, :-1]], dim=1)
        logits = run_network(model, net_input)  # (N*T, V)
        rows = select_tokens(samples.tokens, self.padding_idx, self.cfg.ignore_prefix_size)
        target = samples.tokens.flatten()[rows]
        reward = leave_one_out(samples.scores, samples.counts)[rows // samples.tokens.size(1)]
        if self.window is not None:
            columns = window_columns(*self.window, width(logits), rows.device)
            logits, target = select_columns(logits, columns), columns_of(target, columns)
        loss = self_critical_loss(logits, rows, target, reward)
        size = samples.tokens.size(0) if self.cfg.sentence_avg else rows.numel()
        log: Log = {
            "loss": loss.detach(),
            "score": samples.scores.sum(),
            "ntokens": rows.numel(),
            "nsentences": samples.tokens.size(0),
            "sample_size": size,
        }
        return loss, size, log

    def _generate(self, model: Any, sample: Dict[str, Any]) -> Samples:
        """The model's own texts, made without dropout, and their CIDEr-D."""
        if self._generator is None:
            self._generator = self.task.build_scst_generator(model)
        ranked = self.task.inference_step(self._generator, [model], sample)
        tokens = [found["tokens"] for several in ranked for found in several]
        counts = [len(several) for several in ranked]
        hyps = [self._scored_form(self.task.tokenizer.decode(ids)) for ids in tokens]
        sets = [[self._scored_form(text) for text in refs] for refs in sample["ref_dict"]]
        refs = [refs for refs, count in zip(sets, counts, strict=True) for _ in range(count)]
        scores = torch.from_numpy(self._document_frequencies().cider_d(hyps, refs)).float()
        padded = pad_sequence(tokens, batch_first=True, padding_value=self.padding_idx)
        return Samples(padded, scores.to(padded.device), counts)

    def _document_frequencies(self) -> Frequencies:
        if self._frequencies is None:
            path = self.cfg.scst_cider_cached_tokens
            if path:
                self._frequencies = read_frequencies(path)
            else:
                sets = self.task.references(self.task.training_paths())
                self._frequencies = Frequencies.of([[t + END for t in refs] for refs in sets])
        return self._frequencies

    @staticmethod
    def _scored_form(text: str) -> str:
        # Original: with case; here: the form in which validation and evaluation score.
        return normalize_caption(text) + END

    @classmethod
    def reduce_metrics(cls, logging_outputs: List[Log]) -> None:
        """Log means over all workers; the score is the mean CIDEr-D of the samples."""
        for name, divisor in (("loss", "sample_size"), ("score", "nsentences")):
            count = total(logging_outputs, divisor)
            metrics.log_scalar(name, total(logging_outputs, name) / (count or 1), count, round=3)
        for name in ("ntokens", "nsentences", "sample_size"):
            metrics.log_scalar(name, total(logging_outputs, name), 1, round=3)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """True: every logged value is a sum or a count."""
        return True


@register_criterion("clip_scst_reward_criterion")
class ClipScstCriterion(FairseqCriterion):
    """Known by name only, to say why it is absent."""

    @classmethod
    def build_criterion(cls, cfg: Any, task: Any) -> FairseqCriterion:
        """Raises ValueError."""
        raise ValueError(
            "--criterion clip_scst_reward_criterion is not supported: it rewards generated images, "
            "and no task here generates any; for captions use scst_reward_criterion"
        )
