"""`--ddp-backend fully_sharded` needs fairscale, which nobody maintains.

torch's own `fully_shard` does the work here; the checkpoints are those of plain training.
"""

from __future__ import annotations

import ast
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fairseq_compat.patch import Patch, function_named, prepend, swap

logger = logging.getLogger(__name__)

_MARK = "gathered_together"
_wrapping: list[bool] = []
_IMPORT = """
try:
    from fairscale.nn.data_parallel import FullyShardedDataParallel as FSDP
except ImportError:
    raise ImportError(
        "Cannot find FullyShardedDataParallel. "
        "Please install fairscale with: pip install fairscale"
    )
"""
_ASSERT = 'assert isinstance(model, FSDP), "expected model to already be wrapped in FSDP"'
_HALF = "if args.memory_efficient_fp16: wrapped_model = wrapped_model.half()"
_MOVE = "if not args.cpu_offload: wrapped_model = wrapped_model.to(device=device)"
_CRASH = 'self.save_checkpoint(os.path.join(self.cfg.checkpoint.save_dir, "crash.pt"), {})'


@contextmanager
def fsdp_enable_wrap(config: Any) -> Iterator[None]:
    """Let `fsdp_wrap` mark modules."""
    _wrapping.append(True)
    try:
        yield
    finally:
        _wrapping.pop()


def fsdp_wrap(module: Any, min_num_params: int | None = None, **_: Any) -> Any:
    """The module itself, marked as one whose weights are gathered together if it has so many."""
    if _wrapping and sum(p.numel() for p in module.parameters()) >= (min_num_params or 0):
        setattr(module, _MARK, True)
    return module


def check(config: Any) -> None:
    """Raise ValueError for options of fairseq that do not go with fully sharded training."""
    refused = {
        "--fp16": config.common.fp16,
        "--bf16": config.common.bf16,
        "--amp": config.common.amp,
        "--store-ema": config.ema.store_ema,
        "--cpu-offload": config.distributed_training.cpu_offload,
        "--use-sharded-state": config.distributed_training.use_sharded_state,
    }
    found = [option for option, given in refused.items() if given]
    if found:
        raise ValueError(
            f"--ddp-backend fully_sharded does not go with {', '.join(found)}; leave that out, or "
            "use --zero-sharding os, which shares out the optimizer's state alone"
        )


def shard(options: Any, model: Any, group: Any, device: Any) -> Any:
    """The model on the device, shared out over the group.  Raises ImportError on an old torch."""
    try:
        from torch.distributed.fsdp import FSDPModule

        FSDPModule.set_reduce_scatter_unused_params  # noqa: B018
    except (ImportError, AttributeError) as error:
        raise ImportError(
            "--ddp-backend fully_sharded needs a newer torch, 2.13 will do; "
            "--zero-sharding os, which shares out the optimizer's state alone, works with this one"
        ) from error
    from fairseq_compat.sharded_module import FullyShardedDataParallel

    # Nobody writes into the outputs of a network.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    model = model.to(device)
    layers = [module for module in model.modules() if getattr(module, _MARK, False)]
    logger.info("the training state is shared by %d processes", group.size())
    return FullyShardedDataParallel(model, group, layers, not options.no_reshard_after_forward)


def _edit_wrapper(tree: ast.Module) -> None:
    names = ("fsdp_enable_wrap", "fsdp_wrap")
    for name in names:
        function_named(tree, name)
    tree.body += ast.parse(f"from {__name__} import {', '.join(names)}").body


def _edit_model(tree: ast.Module) -> None:
    swap(
        tree,
        {
            _IMPORT: "wrapped_model = _shard(args, model, process_group, device)",
            _ASSERT: "pass",
            "wrapped_model = model": "pass",
            _HALF: "pass",
            _MOVE: "pass",
        },
        inside="DistributedFairseqModel",
    )
    prepend(tree, f"from {__name__} import shard as _shard")


def _edit_trainer(tree: ast.Module) -> None:
    chosen = 'self.cfg.distributed_training.ddp_backend == "fully_sharded"'
    many = {chosen: f"{chosen} and self.data_parallel_world_size > 1"}
    swap(tree, many, inside="Trainer.is_fsdp")
    checks = {"import fairscale": "_check(self.cfg)", 'fairscale.__version__ < "0.4.0"': "False"}
    swap(tree, checks, inside="Trainer.__init__")
    swap(tree, {"self.is_fsdp": "False"}, inside="Trainer.state_dict")
    on_device = {"total_norm.cuda().float() ** 2": "total_norm.float() ** 2"}
    swap(tree, on_device, inside="Trainer.clip_grad_norm")
    # An error of one process alone: gathering would wait for the others for ever.
    alone = ("self.consolidate_optimizer()", _CRASH)
    swap(tree, {call: f"self.is_fsdp or {call}" for call in alone}, inside="Trainer.train_step")
    prepend(tree, f"from {__name__} import check as _check")


PATCHES = (
    Patch(
        name="fully-sharded-layers",
        module="fairseq.distributed.fully_sharded_data_parallel",
        reason="--ddp-backend fully_sharded: ImportError: Please install fairscale",
        edit=_edit_wrapper,
    ),
    Patch(
        name="fully-sharded-model",
        module="fairseq.models.distributed_fairseq_model",
        reason="--ddp-backend fully_sharded: ImportError: Please install fairscale",
        edit=_edit_model,
    ),
    Patch(
        name="fully-sharded-trainer",
        module="fairseq.trainer",
        reason="--ddp-backend fully_sharded: No module named 'fairscale'",
        edit=_edit_trainer,
    ),
)
