"""torch's DistributedDataParallel refuses device_ids for a module on the CPU."""

from __future__ import annotations

import ast
from typing import Any

from fairseq_compat.patch import Patch, swap


def distributed_data_parallel(module: Any, **options: Any) -> Any:
    """torch's wrapper; for a module on the CPU without device numbers."""
    from torch.nn.parallel import DistributedDataParallel

    if all(parameter.device.type == "cpu" for parameter in module.parameters()):
        options["device_ids"] = options["output_device"] = None
    return DistributedDataParallel(module, **options)


def _edit(tree: ast.Module) -> None:
    swap(
        tree,
        {
            "from torch.nn.parallel import DistributedDataParallel": (
                "from fairseq_compat.cpu_ddp import "
                "distributed_data_parallel as DistributedDataParallel"
            )
        },
    )
    swap(tree, {"[args.device_id]": "[args.device_id]"}, inside="DistributedFairseqModel")


PATCHES = (
    Patch(
        name="cpu-ddp",
        module="fairseq.models.distributed_fairseq_model",
        reason="ValueError: DistributedDataParallel's device_ids ... must be None for CPU modules",
        edit=_edit,
    ),
)
