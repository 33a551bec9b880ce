"""`polynomial_decay` with a warm-up given as a share of all updates."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.optim import lr_scheduler
from fairseq.optim.lr_scheduler.polynomial_decay_schedule import (
    PolynomialDecayLRSchedule,
    PolynomialDecayLRScheduleConfig,
)

logger = logging.getLogger(__name__)

NAME = "polynomial_decay"
DEFAULT_TOTAL = 1_000_000.0


@dataclass
class WarmupRatioOptions(PolynomialDecayLRScheduleConfig):
    """Options of stock `polynomial_decay` and the warm-up share."""

    warmup_ratio: float = field(
        default=0.0,
        metadata={"help": "share of all updates that warms up; wins over --warmup-updates"},
    )
    # Stock: the value of --max-update, which reaches omegaconf 2.3 as a null it refuses.
    total_num_update: float = field(
        default=DEFAULT_TOTAL,
        metadata={
            "help": "number of updates over which the rate decays; left at its default, it is "
            "derived from --max-epoch and --max-update"
        },
    )


class WarmupRatioSchedule(PolynomialDecayLRSchedule):
    """Linear warm-up over W updates, then polynomial decay until update U.

    `step_begin_epoch` gives the undecayed rate, as in stock fairseq and the original; the trainer
    follows it with `step_update`, so that update n + 1 uses the rate of n, which is 0 at n = 0.
    """

    def __init__(self, cfg: WarmupRatioOptions, optimizer: Any) -> None:
        super().__init__(cfg, optimizer)
        if not 0 <= cfg.warmup_ratio <= 1:
            raise ValueError(f"--warmup-ratio {cfg.warmup_ratio} must lie in [0, 1]")

    def reinit(self, total_num_update: float, num_updates: int) -> None:
        """Plan W and U for a run of `total_num_update` updates, `num_updates` of them done.

        With --warmup-ratio U is that total and W its share.  Without, W stays, and so does a U that
        was given by --total-num-update.
        """
        if self.cfg.warmup_ratio > 0:
            # Original: divided by W; here a share below one update means no warm-up.
            self.cfg.warmup_updates = int(total_num_update * self.cfg.warmup_ratio)
            self.total_num_update = total_num_update
        elif self.cfg.total_num_update == DEFAULT_TOTAL:
            # Original: ignored --max-epoch here, so that the rate hardly decayed.
            self.total_num_update = total_num_update
        warmup = self.cfg.warmup_updates
        if num_updates > 0:
            # Stock keeps the factor 0 of a new schedule when it resumes after the warm-up.
            self.warmup_factor = min(1.0, num_updates / warmup) if warmup > 0 else 1.0
            self.step_update(num_updates)
        elif self.cfg.warmup_ratio > 0:
            self.warmup_factor = 1.0 / warmup if warmup > 0 else 1.0
            self.optimizer.set_lr(self.warmup_factor * self.lr)


def planned_updates(
    batches: int, max_epoch: int, max_update: int, update_freq: Sequence[int], skip_remainder: bool
) -> Optional[int]:
    """Updates of a whole run, None without a limit (0) on epochs and updates.

    batches: batches of one epoch on one worker.  update_freq: batches per update, by epoch; the
    last entry holds for all later epochs.
    """
    if max_epoch <= 0:
        return max_update if max_update > 0 else None
    rounded = math.floor if skip_remainder else math.ceil
    total = sum(
        rounded(batches / update_freq[min(epoch, len(update_freq) - 1)])
        for epoch in range(max_epoch)
    )
    return min(total, max_update) if max_update > 0 else total


def plan_schedule(trainer: Any, epoch_itr: Any) -> None:
    """Plan the trainer's schedule once its checkpoint and training data are loaded."""
    schedule, options = trainer.lr_scheduler, trainer.cfg.optimization
    if not isinstance(schedule, WarmupRatioSchedule):
        return
    total = planned_updates(
        len(epoch_itr),
        options.max_epoch or 0,
        options.max_update or 0,
        options.update_freq,
        options.skip_remainder_batch,
    )
    done = trainer.get_num_updates()
    schedule.reinit(total or schedule.cfg.total_num_update, done)
    logger.info(
        "learning rate: %d updates of warm-up, decay until update %d, %d updates done",
        schedule.cfg.warmup_updates,
        schedule.total_num_update,
        done,
    )


def register() -> None:
    """Put the schedule in the place of stock `polynomial_decay`, whose behaviour it extends."""
    if lr_scheduler.LR_SCHEDULER_REGISTRY.get(NAME) is WarmupRatioSchedule:
        return
    lr_scheduler.LR_SCHEDULER_REGISTRY.pop(NAME, None)
    lr_scheduler.LR_SCHEDULER_DATACLASS_REGISTRY.pop(NAME, None)
    lr_scheduler.register_lr_scheduler(NAME, dataclass=WarmupRatioOptions)(WarmupRatioSchedule)


register()
