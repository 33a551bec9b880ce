"""How much a network keeps for its backward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.models.positions import token_buckets


class SavedBytes:
    """Counts tensors that are kept for backward, each piece of memory once; no parameters, no
    buffers, nothing of the image trunk."""

    def __init__(self, model: nn.Module) -> None:
        # The plain network has this table of constants as a buffer, ours shares one.
        table = token_buckets(1, ModelConfig.token_bucket_size, torch.device("cpu"))
        own = (*model.parameters(), *model.buffers(), table)
        self._own = {tensor.untyped_storage().data_ptr() for tensor in own}
        self._kept: dict[int, Tensor] = {}
        self._inside_trunk = False
        trunk = model.get_submodule("encoder.embed_images")
        self._handles = [
            trunk.register_forward_pre_hook(lambda *_: self._enter(True)),
            trunk.register_forward_hook(lambda *_: self._enter(False)),
        ]
        self._hooks = saved_tensors_hooks(self._keep, lambda tensor: tensor)

    def __enter__(self) -> None:
        self._hooks.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._hooks.__exit__(*error)
        for handle in self._handles:
            handle.remove()

    def _enter(self, inside: bool) -> None:
        self._inside_trunk = inside

    def _keep(self, tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if not self._inside_trunk and place not in self._own:
            # Kept alive, so that its place is not taken by another.
            self._kept[place] = tensor
        return tensor

    def bytes(self, pairs: bool = False) -> int:
        """All, or those of tensors with a number for each pair of the encoder's positions."""
        longest = max(t.size(-2) for t in self._kept.values() if t.dim() == 3)
        chosen = [
            t
            for t in self._kept.values()
            if not pairs or (t.dim() > 2 and t.size(-1) == t.size(-2) == longest)
        ]
        return sum(t.untyped_storage().nbytes() for t in chosen)
