"""Logits of a batch, made by the network or still to be made from its features.

R rows (a flattened batch), D width of the network, C columns (the vocabulary or a part of it).
"""

from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor


class Unprojected(NamedTuple):
    """What logits are the product of: only those that a loss needs are ever made."""

    features: Tensor  # (R, D)
    weight: Tensor  # (C, D)


_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
"""A product by oneDNN; None where torch was built without it."""

Logits: TypeAlias = Tensor | Unprojected
"""(R, C) logits in either form."""


def width(logits: Logits) -> int:
    """C"""
    return logits.weight.size(0) if isinstance(logits, Unprojected) else logits.size(1)


def detached(logits: Logits) -> Logits:
    """The same without a gradient."""
    if isinstance(logits, Unprojected):
        return Unprojected(logits.features.detach(), logits.weight.detach())
    return logits.detach()


def select_rows(logits: Logits, rows: Tensor) -> Tensor:
    """Logits of some rows: (N,) int64 -> (N, C)."""
    if isinstance(logits, Unprojected):
        return _product(logits.features[rows], logits.weight)
    return logits[rows]


def _product(features: Tensor, weight: Tensor) -> Tensor:
    """features . weight: (N, D), (C, D) -> (N, C).

    For few rows and a whole vocabulary oneDNN is nearly twice as fast as the library that torch
    takes on a CPU; it has no gradient, which the loss does not ask for.
    """
    is_float = features.dtype == weight.dtype == torch.float32
    wants_gradient = torch.is_grad_enabled() and (features.requires_grad or weight.requires_grad)
    if (
        _ONEDNN is None
        or features.device.type != "cpu"
        or not is_float
        or wants_gradient
        or not features.numel()
        or torch.is_autocast_enabled("cpu")
    ):
        return F.linear(features, weight)
    return _ONEDNN(features, weight, None, "none", [], None)  # type: ignore[no-any-return]


def select_columns(logits: Logits, columns: Tensor) -> Logits:
    """Logits of some columns: (C',) int64 -> (R, C') in the form of the input."""
    if isinstance(logits, Unprojected):
        return logits._replace(weight=logits.weight.index_select(0, columns))
    return logits.index_select(1, columns)


def select_pairs(logits: Logits, rows: Tensor, columns: Tensor) -> Tensor:
    """Logit of each pair of a row and a column: (M,), (M,) int64 -> (M,)."""
    if isinstance(logits, Unprojected):
        # Pairs share rows and columns: one product of those that occur at all.
        rows, row_place = torch.unique(rows, return_inverse=True)
        columns, column_place = torch.unique(columns, return_inverse=True)
        logits = select_rows(select_columns(logits, columns), rows)
        rows, columns = row_place, column_place
    # A flat index_select has a cheap backward (index_add); logits[rows, columns] would sort.
    return logits.reshape(-1).index_select(0, rows * width(logits) + columns)
