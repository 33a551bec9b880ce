"""`adjust_label_smoothed_encouraging_loss`: cross-entropy with a bonus for probable targets."""

from dataclasses import dataclass, field, replace
from typing import Any

from fairseq.criterions import register_criterion

from biomedgpt_fairseq.criterions.label_smoothed import LabelSmoothedCriterion, LabelSmoothedOptions
from biomedgpt_fairseq.losses.label_smoothing import LossConfig


@dataclass
class EncouragingOptions(LabelSmoothedOptions):
    """Options of the criterion."""

    log_end: float = field(
        default=0.75, metadata={"help": "probability from which the bonus is linear; 1: nowhere"}
    )
    drop_best_ratio: float = field(
        default=0.0, metadata={"help": "must be 0 (never had an effect)"}
    )
    drop_best_after: int = field(default=0, metadata={"help": "must be 0 (never had an effect)"})


@register_criterion("adjust_label_smoothed_encouraging_loss", dataclass=EncouragingOptions)
class EncouragingCriterion(LabelSmoothedCriterion):
    """Cross-entropy plus ln(1 - p): well learned tokens keep a gradient."""

    def __init__(self, cfg: EncouragingOptions, task: Any) -> None:
        super().__init__(cfg, task)
        if not 0 <= cfg.log_end <= 1:
            raise ValueError(f"--log-end {cfg.log_end} must lie in [0, 1]")
        # Original: both were accepted and ignored.
        if cfg.drop_best_ratio or cfg.drop_best_after:
            raise ValueError(
                "--drop-best-ratio and --drop-best-after are not supported (the original ignored "
                "them); leave them out, or drop the tokens with the largest losses by "
                "--drop-worst-ratio"
            )

    def _loss_config(self, update_num: int, rdrop: bool) -> LossConfig:
        return replace(super()._loss_config(update_num, rdrop), log_end=self.cfg.log_end)
