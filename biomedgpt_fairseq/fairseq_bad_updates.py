"""Updates whose loss or gradient is not finite, or whose gradient is a spike, do not pass silently.

The log names its rows, and --on-bad-loss says what follows: the run stops, the update is dropped,
or the run goes back to its last checkpoint and on behind these rows.  Whether an update is bad is
read off the gradient norm, which all workers have alike, so all of them do the same.
"""

import logging
import math
from collections import deque
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, Deque, Dict, List, Optional

import torch
from fairseq.distributed import utils as distributed_utils
from torch import Tensor
from torch.nn.modules.batchnorm import _NormBase

logger = logging.getLogger(__name__)

STOP, SKIP, REWIND = "stop", "skip", "rewind"
PATIENCE = 10
"""Bad updates in a row, without one that takes the run further, after which it stops."""
WINDOW, ENOUGH = 100, 10
"""Gradient norms whose median a spike is compared with, and how many there must be."""
_NORMS = "gradient_norms"
State = Dict[str, Any]


class LossWatch:
    """Losses of the batches of the present update, as the task sees them."""

    def __init__(self) -> None:
        self.losses: List[Tensor] = []

    def watch(self, loss: Tensor) -> Tensor:
        """The same loss ().  One that is not finite gets gradients that are NaN on all workers."""
        self.losses.append(loss.detach())
        return loss * (1 + 0 * loss.detach())

    def bad(self) -> List[bool]:
        """Which of the losses are not finite."""
        return [not bool(torch.isfinite(loss).all()) for loss in self.losses]


class UpdateGuard:
    """Stands in for the trainer's `train_step`, `clip_grad_norm` and `state_dict`.

    rewind: loads the run's last checkpoint and returns its extra_state, None if there is none.
    """

    def __init__(self, trainer: Any, rewind: Callable[[], Optional[State]]) -> None:
        options = trainer.task.cfg
        self.trainer, self.rewind = trainer, rewind
        self.policy, self.factor = str(options.on_bad_loss), float(options.gradient_spike_factor)
        if self.factor and self.factor <= 1:
            raise ValueError(f"--gradient-spike-factor {self.factor} must be above 1, or 0 for off")
        self.norms: Deque[float] = deque(maxlen=WINDOW)
        self.reason: Optional[str] = None
        self.some_loss_is_bad = False
        self.in_a_row, self.furthest = 0, trainer.get_num_updates()
        self.statistics: List[Tensor] = []
        if self.policy != STOP:
            self.statistics = list(_batch_statistics(trainer.get_model()))
        self.kept = [one.clone() for one in self.statistics]
        self.stock_step, self.stock_clip = trainer.train_step, trainer.clip_grad_norm
        self.stock_state = trainer.state_dict

    def train_step(self, samples: Any, raise_oom: bool = False) -> Any:
        """The trainer's; None for an update that was dropped."""
        self.trainer.task.loss_watch.losses.clear()
        self.reason, self.some_loss_is_bad = None, False
        if self.statistics:
            torch._foreach_copy_(self.kept, self.statistics)
        log = self.stock_step(samples, raise_oom)
        if self.reason is not None:
            self._follow_policy(samples)
        elif self.trainer.get_num_updates() > self.furthest:
            self.furthest, self.in_a_row = self.trainer.get_num_updates(), 0
        return log

    def clip_grad_norm(self, clip_norm: float) -> Any:
        """The trainer's.  Raises OverflowError for a bad update: the trainer drops it then."""
        try:
            norm = self.stock_clip(clip_norm)
        except OverflowError:
            # The scaler of --fp16 found its scale too large, unless the loss itself is bad.
            if not self._find_bad_losses():
                raise
            norm = torch.tensor(math.nan)
        self.reason = self._judge(norm)
        if self.reason is not None:
            if self.trainer.cfg.common.amp:
                self.trainer.optimizer.scaler.update()  # as its step would have done
            raise OverflowError(f"{self.reason}, as the next line tells")
        return norm

    def state_dict(self) -> State:
        """The trainer's, with the norms: a resumed run finds the same spikes."""
        state: State = self.stock_state()
        if self.factor:
            state["extra_state"][_NORMS] = list(self.norms)
        return state

    def restore(self, extra_state: Optional[State]) -> None:
        """Take the norms of a checkpoint."""
        self.norms = deque((extra_state or {}).get(_NORMS, ()), maxlen=WINDOW)

    def _judge(self, norm: Any) -> Optional[str]:
        """Why the update is bad; None if it is not."""
        value = float(norm)
        if not math.isfinite(value):
            if self._find_bad_losses():
                return "the loss is not finite"
            # Without a bad loss the scaler of --amp is to lower its scale.
            return None if self.trainer.cfg.common.amp else f"the gradient norm is {value}"
        if not self.factor:
            return None
        usual = median(self.norms) if len(self.norms) >= ENOUGH else math.inf
        if value > self.factor * usual:
            return f"the gradient norm {value:.4g} is {value / usual:.1f} times the usual"
        self.norms.append(value)
        return None

    def _find_bad_losses(self) -> bool:
        """Whether a loss of any worker is not finite; all workers ask at the same time."""
        found = torch.tensor(float(any(self.trainer.task.loss_watch.bad())))
        if self.trainer.data_parallel_world_size > 1:
            found = found.to(self.trainer.device)
            distributed_utils.all_reduce(found, group=self.trainer.data_parallel_process_group)
        self.some_loss_is_bad = bool(found > 0)
        return self.some_loss_is_bad

    def _follow_policy(self, samples: Any) -> None:
        update, rows = self.trainer.get_num_updates() + 1, self._rows(samples)
        what = f"update {update}: {self.reason}; rows on this worker: {', '.join(rows) or 'none'}"
        self.in_a_row += 1
        if self.policy == STOP or self.in_a_row > PATIENCE:
            again = f"; {self.in_a_row} in a row, so the run stops" * (self.policy != STOP)
            raise FloatingPointError(
                f"{what}{again}. Look at these rows and at --lr and --clip-norm; "
                "--on-bad-loss skip or rewind goes on without them"
            )
        for one, before in zip(self.statistics, self.kept, strict=True):
            one.copy_(before)
        extra_state = self.rewind() if self.policy == REWIND else None
        if extra_state is not None:
            self.restore(extra_state)
            logger.warning(
                "%s. Back to update %d, on behind these rows", what, self.trainer.get_num_updates()
            )
        else:
            why = " (there is no checkpoint yet)" if self.policy == REWIND else ""
            logger.warning("%s. The update is dropped%s", what, why)

    def _rows(self, samples: Any) -> List[str]:
        """Ids of the rows of this worker's batches, of the bad ones if the loss tells them."""
        bad = self.trainer.task.loss_watch.bad()
        if self.some_loss_is_bad and len(bad) == len(samples):
            samples = [sample for sample, is_bad in zip(samples, bad, strict=True) if is_bad]
        return [row for sample in samples for row in _ids(sample)]


def install(
    trainer: Any, extra_state: Optional[State], rewind: Callable[[], Optional[State]]
) -> None:
    """Guard this training run.  extra_state: of the checkpoint that it resumes from, if any."""
    if getattr(trainer.task, "loss_watch", None) is None:
        return  # a task of someone else
    guard = UpdateGuard(trainer, rewind)
    guard.restore(extra_state)
    trainer.train_step, trainer.clip_grad_norm = guard.train_step, guard.clip_grad_norm
    trainer.state_dict = guard.state_dict


def _batch_statistics(model: torch.nn.Module) -> Iterator[Tensor]:
    """Running means and variances: a forward pass changes them, and NaN would stay for good."""
    for module in model.modules():
        if isinstance(module, _NormBase):
            yield from module.buffers(recurse=False)


def _ids(sample: Any) -> Iterator[str]:
    """Row ids of a batch, which may consist of several; none of an empty one."""
    if isinstance(sample, list):
        for part in sample:
            yield from _ids(part)
    elif sample:
        yield from map(str, sample["id"])
