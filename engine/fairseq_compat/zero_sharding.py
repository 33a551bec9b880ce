"""`--zero-sharding os` needs fairscale, which nobody maintains.

torch's own ZeroRedundancyOptimizer does the work here.
"""

from __future__ import annotations

import ast
import logging
from typing import Any

from fairseq_compat.patch import Patch, prepend, swap

logger = logging.getLogger(__name__)


def shard(optimizer: Any, group: Any) -> None:
    """Let each process hold and update its share of a fairseq optimizer's state.

    Checkpoints are those of an optimizer that is not sharded.  A single process holds all of it.
    """
    import torch.distributed

    if not torch.distributed.is_initialized() or torch.distributed.get_world_size(group) == 1:
        return
    from torch.distributed.optim import ZeroRedundancyOptimizer

    class Sharded(ZeroRedundancyOptimizer):
        def __getattr__(self, name: str) -> Any:
            # What fairseq asks an optimizer whether it can do.
            if name.startswith("supports"):
                return getattr(self.optim, name)
            raise AttributeError(name)

        def broadcast_global_state_dict(self, state_dict: Any) -> Any:
            from fairseq.distributed.utils import broadcast_object

            return broadcast_object(state_dict, src_rank=0, group=group)

    whole = optimizer.optimizer
    optimizer.optimizer = Sharded(
        whole.param_groups, type(whole), process_group=group, **optimizer.optimizer_config
    )
    logger.info("the optimizer's state is shared by %d processes", group.size())


def _edit_trainer(tree: ast.Module) -> None:
    swap(tree, {"optim.shard_": "_shard"}, inside="Trainer._build_optimizer")
    prepend(tree, "from fairseq_compat.zero_sharding import shard as _shard")


PATCHES = (
    Patch(
        name="zero-sharding",
        module="fairseq.trainer",
        reason="--zero-sharding os: ImportError: Please install the fairscale package",
        edit=_edit_trainer,
    ),
)
