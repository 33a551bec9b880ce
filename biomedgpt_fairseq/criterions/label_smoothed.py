"""`adjust_label_smoothed_cross_entropy`: the criterion of all supervised training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Dict, List, NamedTuple, Optional, Union

import torch
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from omegaconf import II
from torch import Tensor

from biomedgpt_fairseq.criterions.network import run_network
from biomedgpt_fairseq.criterions.reduction import reduce_losses
from biomedgpt_fairseq.losses.label_smoothing import (
    LossConfig,
    allowed_from_mask,
    allowed_from_sparse,
    columns_of,
    select_tokens,
    smoothed_loss,
    window_columns,
)
from biomedgpt_fairseq.losses.logits import Logits, select_columns, width
from biomedgpt_fairseq.losses.token_losses import AllowedIds, count_correct

Sample = Dict[str, Any]
Log = Dict[str, Any]


@dataclass
class LabelSmoothedOptions(FairseqDataclass):
    """Options of the criterion; names and defaults are those of the original."""

    label_smoothing: float = field(
        default=0.0, metadata={"help": "weight of the possible ids other than the target"}
    )
    report_accuracy: bool = field(default=False, metadata={"help": "log the token accuracy"})
    ignore_prefix_size: int = field(
        default=0, metadata={"help": "leave out the first N target positions"}
    )
    ignore_eos: bool = field(default=False, metadata={"help": "leave out end-of-sequence targets"})
    sentence_avg: bool = II("optimization.sentence_avg")
    drop_worst_ratio: float = field(
        default=0.0, metadata={"help": "share of the tokens with the largest losses to drop"}
    )
    drop_worst_after: int = field(
        default=0, metadata={"help": "number of updates after which they are dropped"}
    )
    use_rdrop: bool = field(
        default=False, metadata={"help": "train on two passes with different dropout (R-Drop)"}
    )
    reg_alpha: float = field(
        default=1.0, metadata={"help": "weight of the divergence between both passes"}
    )
    sample_patch_num: int = field(
        default=196, metadata={"help": "image patches kept in the first of two batches; 0: all"}
    )
    constraint_range: Optional[str] = field(
        default=None, metadata={"help": "'start,end': only these vocabulary ids are possible"}
    )


class CountedTokens(NamedTuple):
    """The tokens of one batch that enter the loss (N), and what is possible for each."""

    rows: Tensor  # (N,) rows of the flattened logits
    target: Tensor  # (N,)
    allowed: Optional[AllowedIds]
    confidence: Optional[Tensor]  # (N,)


@register_criterion("adjust_label_smoothed_cross_entropy", dataclass=LabelSmoothedOptions)
class LabelSmoothedCriterion(FairseqCriterion):
    """Label-smoothed cross-entropy over one batch, or over several that weigh the same.

    A plain sample is normalised by its tokens.  A list or tuple of samples (pretraining) gives
    the sum of the mean losses with sample size 1; its first batch keeps --sample-patch-num patches,
    and a batch without rows, {}, is left out.
    """

    def __init__(self, cfg: LabelSmoothedOptions, task: Any) -> None:
        super().__init__(task)
        if not 0 <= cfg.label_smoothing < 1:
            raise ValueError(f"--label-smoothing {cfg.label_smoothing} must lie in [0, 1)")
        if not 0 <= cfg.drop_worst_ratio < 1:
            raise ValueError(f"--drop-worst-ratio {cfg.drop_worst_ratio} must lie in [0, 1)")
        self.cfg = cfg
        self.eos = task.target_dictionary.eos()
        # Command lines set the task's option of the same name too; hydra configs may set only it.
        task_range = getattr(getattr(task, "cfg", None), "constraint_range", None)
        self.window = parse_range(cfg.constraint_range or task_range)

    def forward(
        self,
        model: Any,
        sample: Union[Sample, Sequence[Sample]],
        update_num: int = 0,
        reduce: bool = True,
    ) -> tuple[Tensor, int, Log]:
        """Loss, the divisor of its gradient, and summable values for the log."""
        if isinstance(sample, Mapping):
            return self._one_batch(model, sample, update_num)
        return self._several_batches(model, sample, update_num)

    def _several_batches(
        self, model: Any, samples: Sequence[Sample], update_num: int
    ) -> tuple[Tensor, int, Log]:
        results = {}
        for number, sample in enumerate(samples):
            if not sample:
                continue  # a batch without rows of this group
            if number == 0 and self.cfg.sample_patch_num > 0:
                net_input = {**sample["net_input"], "sample_patch_num": self.cfg.sample_patch_num}
                sample = {**sample, "net_input": net_input}
            results[number] = self._one_batch(model, sample, update_num)
        means = [loss / max(size, 1) for loss, size, _ in results.values()]
        logs = [log for _, _, log in results.values()]
        total = torch.stack(means).sum()
        log: Log = {
            "loss": total.detach(),
            "nll_loss": sum(part["nll_loss"] / max(part["sample_size"], 1) for part in logs),
            "sample_size": 1,
        }
        for name in ("ntokens", "nsentences"):
            log[name] = sum(part[name] for part in logs)
        if self.cfg.report_accuracy:
            for name in ("n_correct", "total"):
                log[name] = sum(part[name] for part in logs)
        # Workers add their logs up, so every log of this kind has the same keys.
        for number in range(max(2, len(samples))):
            loss, size, _ = results.get(number, (torch.zeros_like(total), 0, {}))
            log[f"loss_v{number + 1}"] = loss.detach()
            log[f"sample_size_v{number + 1}"] = size
        return total, 1, log

    def _one_batch(self, model: Any, sample: Sample, update_num: int) -> tuple[Tensor, int, Log]:
        # Original: R-Drop doubled validation batches too, which spoiled the per-sample metrics.
        rdrop = self.cfg.use_rdrop and self.training and model.training
        net_input, copies = sample["net_input"], 1
        if rdrop:
            net_input, copies = _doubled(net_input), 2
        logits = run_network(model, net_input)  # (copies*B*L, V)
        tokens = self._counted_tokens(sample)
        if rdrop:
            tokens = _twice(tokens, sample["target"].numel())
        logits, tokens = self._windowed(logits, tokens)
        sums = smoothed_loss(
            logits,
            tokens.rows,
            tokens.target,
            self._loss_config(update_num, rdrop),
            tokens.allowed,
            tokens.confidence,
        )
        sentences = sample["target"].size(0) * copies
        size = sentences if self.cfg.sentence_avg else sums.kept
        log: Log = {
            "loss": sums.loss.detach(),
            "nll_loss": sums.nll.detach(),
            "ntokens": sample["ntokens"] * copies,
            "nsentences": sentences,
            "sample_size": size,
        }
        if self.cfg.report_accuracy:
            log["n_correct"] = count_correct(logits, tokens.rows, tokens.target, tokens.allowed)
            log["total"] = tokens.rows.numel()
        return sums.loss, size, log

    def _loss_config(self, update_num: int, rdrop: bool) -> LossConfig:
        dropping = update_num > self.cfg.drop_worst_after
        return LossConfig(
            label_smoothing=self.cfg.label_smoothing,
            drop_worst_ratio=self.cfg.drop_worst_ratio if dropping else 0.0,
            rdrop_alpha=self.cfg.reg_alpha if rdrop else None,
        )

    def _counted_tokens(self, sample: Sample) -> CountedTokens:
        target = sample["target"]  # (B, L)
        rows = select_tokens(
            target,
            self.padding_idx,
            self.cfg.ignore_prefix_size,
            self.eos if self.cfg.ignore_eos else None,
        )
        masks, confidence = sample.get("constraint_masks"), sample.get("conf")
        allowed = None
        if torch.is_tensor(masks):
            allowed = allowed_from_mask(masks, rows)
        elif masks is not None:
            allowed = allowed_from_sparse(masks, rows)
        if confidence is not None:
            confidence = confidence.reshape(-1)[rows // target.size(1)]
        return CountedTokens(rows, target.flatten()[rows], allowed, confidence)

    def _windowed(self, logits: Logits, tokens: CountedTokens) -> tuple[Logits, CountedTokens]:
        """Logits and tokens under --constraint-range: a smaller vocabulary, or smaller sets."""
        if self.window is None:
            return logits, tokens
        columns = window_columns(*self.window, width(logits), tokens.rows.device)
        if tokens.allowed is not None:
            return logits, tokens._replace(allowed=tokens.allowed.among(columns))
        target = columns_of(tokens.target, columns)
        return select_columns(logits, columns), tokens._replace(target=target)

    @classmethod
    def reduce_metrics(cls, logging_outputs: List[Log]) -> None:
        """Log means over all workers."""
        reduce_losses(logging_outputs)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """True: every logged value is a sum or a count."""
        return True


def parse_range(text: Optional[str]) -> Optional[tuple[int, int]]:
    """(start, end) of a 'start,end' option, None when unset.  Raises ValueError otherwise."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise ValueError(f"--constraint-range must be 'start,end' (two integers), found {text!r}")
    return int(parts[0]), int(parts[1])


def _doubled(net_input: Sample) -> Sample:
    """Model inputs followed by themselves along the batch; only tensors are doubled."""
    return {
        name: torch.cat([value, value]) if torch.is_tensor(value) else value
        for name, value in net_input.items()
    }


def _twice(tokens: CountedTokens, rows: int) -> CountedTokens:
    """The tokens of a batch of `rows` logit rows, then those of its second pass."""
    return CountedTokens(
        torch.cat([tokens.rows, tokens.rows + rows]),
        tokens.target.repeat(2),
        None if tokens.allowed is None else tokens.allowed.twice(),
        None if tokens.confidence is None else tokens.confidence.repeat(2),
    )
