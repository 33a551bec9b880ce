"""The encoder layer calls a private fused kernel of torch whose signature has changed."""

from __future__ import annotations

import ast

from fairseq_compat.patch import Patch, swap

_CAN_USE = """
self.can_use_fastpath = (
    not self.normalize_before
    and self.activation_relu_or_gelu
    and (self.self_attn_layer_norm.eps == self.final_layer_norm.eps)
)
"""
_VERSION = 'self.torch_version = torch.__version__.split("+")[0]'


def _edit(tree: ast.Module) -> None:
    swap(
        tree,
        {_CAN_USE: "self.can_use_fastpath = False"},
        inside="TransformerEncoderLayerBase.__init__",
    )
    # Parsed with int(): a release candidate such as 2.14.0a0 raises ValueError.
    swap(
        tree,
        {"torch.__version__": 'torch.__version__.split("+")[0].partition("a")[0]'},
        inside="TransformerEncoderLayerBase.__init__",
    )


PATCHES = (
    Patch(
        name="fast-path",
        module="fairseq.modules.transformer_layer",
        reason="RuntimeError: Mask Type should be defined, in evaluation after loading a model",
        edit=_edit,
    ),
)
