"""A run that is told to stop saves a checkpoint at its next update and ends with status 75.

Clusters send SIGUSR1 before a time limit or preemption, and SIGTERM before they kill.  The signal
may reach one worker only: the request travels in the sums of the update's log, which all workers
have alike, so that all of them stop at the same update.

A run that was killed behind its last update has nothing left to do when it is started again.
"""

import functools
import logging
import os
import signal
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, Dict, List, Optional

import torch
from fairseq import checkpoint_utils

logger = logging.getLogger(__name__)

INTERRUPTED = 75
"""Exit status of an interrupted run, as the cluster's jobs expect it (EX_TEMPFAIL)."""
SIGNALS = (signal.SIGUSR1, signal.SIGTERM)
_REQUESTS = "stop_requests"


class StopRequest:
    """Whether training was told to stop: here, and as all workers know it after an update."""

    def __init__(self) -> None:
        self.received = False
        self.agreed = False

    def listen(self) -> None:
        """Let the signals ask for a stop, as long as this object lives."""
        for number in SIGNALS:
            _Handler(self).install(number)

    def report(self, log: Dict[str, Any]) -> None:
        """Put this worker's request into the log of its batch."""
        log[_REQUESTS] = int(self.received)

    def agree(self, logs: List[Dict[str, Any]]) -> None:
        """Take over the request of any worker from the logs of an update."""
        if any(log.get(_REQUESTS, 0) for log in logs):
            self.agreed = True


class _Handler:
    """Handler of a signal that acts as the one before once the request has gone."""

    def __init__(self, request: StopRequest) -> None:
        self.request = weakref.ref(request)
        self.before: Any = None

    def install(self, number: int) -> None:
        self.before = signal.signal(number, self)

    def __call__(self, number: int, frame: Optional[FrameType]) -> None:
        request = self.request()
        if request is not None:
            request.received = True
            return
        signal.signal(number, self.before)
        os.kill(os.getpid(), number)


def install(trainer: Any) -> None:
    """Let this training run be stopped by signals, and end at once if it had ended."""
    from fairseq_cli import train as program  # only a training program has it

    if not getattr(program.train, "ends_if_done", False):
        program.train = ending_if_done(program.train)
    stop = getattr(trainer.task, "stop", None)
    if stop is None:
        return  # a task of someone else
    stop.listen()
    if not getattr(program.validate_and_save, "stops_on_request", False):
        program.validate_and_save = stopping(program.validate_and_save)


def ending_if_done(stock: Callable[..., Any]) -> Callable[..., Any]:
    """`train` that makes no further update behind --max-update; stock makes one, then looks."""

    @functools.wraps(stock)
    def train(cfg: Any, trainer: Any, task: Any, epoch_itr: Any) -> Any:
        most = cfg.optimization.max_update
        if most and trainer.get_num_updates() >= most:
            logger.warning("all %d updates of --max-update were made before: nothing to do", most)
            return [None], True
        return stock(cfg, trainer, task, epoch_itr)

    train.ends_if_done = True  # type: ignore[attr-defined]
    return train


def stopping(stock: Callable[..., Any]) -> Callable[..., Any]:
    """`validate_and_save` that ends the run after an update at which its stop was agreed on."""

    @functools.wraps(stock)
    def validate_and_save(
        cfg: Any, trainer: Any, task: Any, epoch_itr: Any, valid_subsets: Any, end_of_epoch: bool
    ) -> Any:
        # First what is due: a validation left out now would be missing in the resumed run.
        losses, should_stop = stock(cfg, trainer, task, epoch_itr, valid_subsets, end_of_epoch)
        if not should_stop and getattr(task, "stop", None) is not None and task.stop.agreed:
            checkpoint_utils.save_checkpoint(cfg.checkpoint, trainer, epoch_itr, losses[0])
            if trainer.data_parallel_world_size > 1:
                # The first worker to end has the others killed, the one that writes among them.
                torch.distributed.barrier(group=trainer.data_parallel_process_group)
            epoch_itr.close()
            logger.warning(
                "stopped on request at update %d, status %d; the same command goes on from there",
                trainer.get_num_updates(),
                INTERRUPTED,
            )
            raise SystemExit(INTERRUPTED)
        return losses, should_stop

    validate_and_save.stops_on_request = True  # type: ignore[attr-defined]
    return validate_and_save
