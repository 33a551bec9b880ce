"""Layer norm, fused where apex offers it; the only file that names apex."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import torch
from torch import nn

_override: type[nn.Module] | None = None


def layer_norm(dim: int) -> nn.Module:
    """A layer norm over the last dimension, with `weight` and `bias` (dim,) and eps 1e-5."""
    kind = _override or _fused_kind() or nn.LayerNorm
    return kind(dim)


def _fused_kind() -> type[nn.Module] | None:
    """Apex's layer norm; it serves CUDA tensors, so it is of no use without a device."""
    if not torch.cuda.is_available():
        return None
    try:
        module = import_module("apex.normalization")
    except ImportError:
        return None
    kind: type[nn.Module] = module.FusedLayerNorm
    return kind


@contextmanager
def use_layer_norm(kind: type[nn.Module]) -> Iterator[None]:
    """Build layer norms of this kind inside the block, whatever is installed."""
    global _override
    before, _override = _override, kind
    try:
        yield
    finally:
        _override = before
