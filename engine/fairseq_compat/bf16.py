"""`--bf16` meant a TPU in 0.12.2; here it also works on GPUs from the command line, and on CPUs."""

from __future__ import annotations

import ast
import importlib.util

from fairseq_compat.patch import Patch, prepend, swap


def has_tpu() -> bool:
    """Whether torch_xla is there, without which `--tpu` ends in an AttributeError."""
    return importlib.util.find_spec("torch_xla") is not None


def _edit_options(tree: ast.Module) -> None:
    swap(
        tree,
        {"if args.bf16: args.tpu = True": "if args.bf16 and _has_tpu(): args.tpu = True"},
        inside="parse_args_and_arch",
    )
    prepend(tree, "from fairseq_compat.bf16 import has_tpu as _has_tpu")


def _edit_optimizer(tree: ast.Module) -> None:
    # The list is only the key of a dictionary; None is the index of the CPU device.
    swap(
        tree,
        {"[torch.cuda.current_device()]": "[params[0].device.index]"},
        inside="_FP16OptimizerMixin.build_fp32_params",
    )


PATCHES = (
    Patch(
        name="bf16-without-tpu",
        module="fairseq.options",
        reason="--bf16: AttributeError: 'NoneType' object has no attribute 'xla_device'",
        edit=_edit_options,
    ),
    Patch(
        name="bf16-on-cpu",
        module="fairseq.optim.fp16_optimizer",
        reason="--bf16 --cpu: AssertionError: Torch not compiled with CUDA enabled",
        edit=_edit_optimizer,
    ),
)
