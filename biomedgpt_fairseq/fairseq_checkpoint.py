"""Rules for restoring a training run, put around fairseq's own checkpoint loading.

Stock fairseq trains from random weights when --restore-file is missing, and loads that file again
when an interrupted run is restarted. Here the first is an error and a restart goes on, from the
newest sound checkpoint if the last one is damaged.
"""

import copy
import functools
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Dict, Optional

from fairseq import checkpoint_utils
from fairseq.file_io import PathManager

from biomedgpt_fairseq import fairseq_bad_updates, fairseq_interruption
from biomedgpt_fairseq.fairseq_recovery import recover_last
from biomedgpt_fairseq.optim.warmup_ratio import plan_schedule

logger = logging.getLogger(__name__)

DEFAULT_RESTORE_FILE = "checkpoint_last.pt"
RESET_FLAGS = ("reset_optimizer", "reset_lr_scheduler", "reset_meters", "reset_dataloader")
State = Dict[str, Any]


def install() -> None:
    """Wrap `fairseq.checkpoint_utils.load_checkpoint`, once."""
    stock = checkpoint_utils.load_checkpoint
    if not getattr(stock, "follows_restore_rules", False):
        checkpoint_utils.load_checkpoint = with_restore_rules(stock)


def with_restore_rules(stock: Callable[..., Any]) -> Callable[..., Any]:
    """`load_checkpoint` that follows the restore rules, then plans the learning rate."""

    @functools.wraps(stock)
    def load_checkpoint(cfg: Any, trainer: Any, **passthrough_args: Any) -> Any:
        if cfg.write_checkpoints_asynchronously:
            raise ValueError(
                "--write-checkpoints-asynchronously would leave no checkpoint_last.pt to resume "
                "from; leave it out"
            )
        recover_last(trainer, cfg.save_dir)
        last = last_checkpoint(cfg, trainer.checkpoint_suffix)
        if last is None:
            check_restore_file(cfg, trainer.checkpoint_suffix)
        elif cfg.restore_file != DEFAULT_RESTORE_FILE:
            logger.info(
                "resuming from %s: --restore-file %s and the reset options do not apply",
                last,
                cfg.restore_file,
            )
            cfg = resuming_options(cfg)
        with averaged_weights(trainer, resuming=last is not None):
            extra_state, epoch_itr = stock(cfg, trainer, **passthrough_args)
        if last is not None:
            finish_epoch(trainer, extra_state)
        plan_schedule(trainer, epoch_itr)
        fairseq_interruption.install(trainer)
        fairseq_bad_updates.install(
            trainer,
            extra_state if last is not None else None,
            functools.partial(rewind, trainer, epoch_itr),
        )
        return extra_state, epoch_itr

    load_checkpoint.follows_restore_rules = True  # type: ignore[attr-defined]
    return load_checkpoint


def finish_epoch(trainer: Any, extra_state: State) -> None:
    """Tell the learning rate of the validation at the end of the last epoch.

    Stock does it after the checkpoint is written, so a run that goes on from there had not.
    """
    position, loss = extra_state["train_iterator"], extra_state.get("val_loss")
    if position["iterations_in_epoch"] == 0 and loss is not None:
        trainer.lr_step(position["epoch"] - 1, loss)
        trainer.lr_step(position["epoch"])


def rewind(trainer: Any, epoch_itr: Any) -> Optional[State]:
    """Go back to the run's last checkpoint, but not in the data.

    Returns its extra_state, None if there is no checkpoint yet.
    """
    last = last_checkpoint(trainer.cfg.checkpoint, trainer.checkpoint_suffix)
    if last is None:
        return None
    with averaged_weights(trainer, resuming=True):
        extra_state: State = trainer.load_checkpoint(last, reset_meters=True)
    finish_epoch(trainer, extra_state)
    plan_schedule(trainer, epoch_itr)
    return extra_state


def last_checkpoint(cfg: Any, suffix: str) -> Optional[str]:
    """Path of the run's own last checkpoint, None if it has none."""
    path = os.path.join(cfg.save_dir, f"checkpoint_last{suffix}.pt")
    return path if PathManager.exists(path) else None


def check_restore_file(cfg: Any, suffix: str) -> None:
    """Raise FileNotFoundError if --restore-file was given but is not there."""
    if cfg.restore_file == DEFAULT_RESTORE_FILE:
        return
    path = cfg.restore_file.replace(".pt", suffix + ".pt")
    if not PathManager.isfile(path):
        raise FileNotFoundError(
            f"--restore-file {path} does not exist; training would start from random weights "
            "(leave the option out if that is meant)"
        )


def resuming_options(cfg: Any) -> Any:
    """A copy of the checkpoint options under which stock fairseq resumes the run in --save-dir."""
    changed = copy.deepcopy(cfg)
    changed.restore_file = DEFAULT_RESTORE_FILE
    for flag in RESET_FLAGS:
        setattr(changed, flag, False)
    return changed


@contextmanager
def averaged_weights(trainer: Any, resuming: bool) -> Iterator[None]:
    """While a checkpoint is read, put its plain and averaged weights where options want them."""
    stock = checkpoint_utils.load_checkpoint_to_cpu

    @functools.wraps(stock)
    def load_checkpoint_to_cpu(path: str, *args: Any, **kwargs: Any) -> State:
        return arranged_weights(stock(path, *args, **kwargs), trainer.cfg, resuming, path)

    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu
    try:
        yield
    finally:
        checkpoint_utils.load_checkpoint_to_cpu = stock


def arranged_weights(state: State, cfg: Any, resuming: bool, path: str) -> State:
    """The state of a checkpoint with the weights that the model and its average start from.

    A resumed run goes on with both as they are. Otherwise --use-ema-weights-to-init-param starts
    the model from the file's average, --use-latest-weights-to-init-ema the average from the file's
    plain weights; a file without an average starts it from the plain weights too.
    Raises ValueError if the average is wanted but absent.
    """
    latest, extra = state["model"], state.setdefault("extra_state", {})
    averaged = {**extra.get("ema", {}), **extra.get("ema_fp32_params", {})}
    if not resuming and getattr(cfg.task, "use_ema_weights_to_init_param", False):
        if not averaged.keys() & latest.keys():
            raise ValueError(
                f"--use-ema-weights-to-init-param: {path} has no averaged weights (extra_state.ema)"
            )
        logger.info("starting from the averaged weights of %s", path)
        state["model"] = {name: averaged.get(name, value) for name, value in latest.items()}
    if not cfg.ema.store_ema:
        return state
    from_latest = not resuming and getattr(cfg.task, "use_latest_weights_to_init_ema", False)
    if from_latest or "ema" not in extra:
        # Stock fairseq raises KeyError for a file without an average: it has freed the weights.
        logger.info("starting the average from the plain weights of %s", path)
        extra["ema"] = dict(latest)
        extra.pop("ema_fp32_params", None)
    elif not resuming and _grows(cfg.model):
        # Tables grow when a model loads them; stock fairseq copies these others in place.
        extra["ema"] = averaged
        extra.pop("ema_fp32_params", None)
    return state


def _grows(options: Any) -> bool:
    return any(getattr(options, f"grow_{name}", False) for name in ("vocabulary", "positions"))
