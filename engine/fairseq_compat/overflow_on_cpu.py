"""An update that is dropped, by the scaler of --fp16 or by a task, moved a zero to the GPU."""

from __future__ import annotations

import ast

from fairseq_compat.patch import Patch, swap


def _edit(tree: ast.Module) -> None:
    swap(
        tree,
        {"torch.tensor(0.0).cuda()": "torch.tensor(0.0, device=self.device)"},
        inside="Trainer.train_step",
    )


PATCHES = (
    Patch(
        name="overflow-on-cpu",
        module="fairseq.trainer",
        reason="AssertionError: Torch not compiled with CUDA enabled",
        edit=_edit,
    ),
)
