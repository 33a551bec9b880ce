"""Second half of a feed-forward block, which keeps one wide tensor for backward instead of three.

Activation and layer norm are cheap beside the products around them: backward makes them again.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_aten = torch.ops.aten


def lean_feed_forward(
    hidden: Tensor, activation: nn.Module, norm: nn.Module, linear: nn.Module
) -> Tensor:
    """linear(norm(activation(hidden))): (..., F) -> (..., D)."""
    if not _fits(hidden, activation, norm, linear):
        return linear(norm(activation(hidden)))  # type: ignore[no-any-return]
    settings = isinstance(activation, nn.GELU), getattr(norm, "eps", 0.0)
    tensors = (getattr(norm, "weight", None), getattr(norm, "bias", None))
    return _LeanFeedForward.apply(  # type: ignore[no-any-return, no-untyped-call]
        settings, hidden, *tensors, linear.weight, linear.bias
    )


def _fits(hidden: Tensor, activation: nn.Module, norm: nn.Module, linear: nn.Module) -> bool:
    """Whether gradients are wanted and the modules are those whose gradients are written here."""
    device = hidden.device.type
    return (
        torch.is_grad_enabled()
        and not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device))
        and type(activation) in (nn.GELU, nn.ReLU)
        and type(norm) in (nn.LayerNorm, nn.Identity)
        and type(linear) is nn.Linear
    )


class _LeanFeedForward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        settings: tuple[bool, float],
        hidden: Tensor,
        norm_weight: Tensor | None,
        norm_bias: Tensor | None,
        weight: Tensor,
        bias: Tensor,
    ) -> Tensor:
        ctx.settings = settings
        ctx.save_for_backward(hidden, norm_weight, norm_bias, weight)
        wide, *_ = _normalised(settings, hidden, norm_weight, norm_bias)
        return F.linear(wide, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        hidden, norm_weight, norm_bias, weight = ctx.saved_tensors
        wide, active, mean, rstd = _normalised(ctx.settings, hidden, norm_weight, norm_bias)
        rows = grad.flatten(0, -2)
        weight_grad = rows.t() @ wide.flatten(0, -2)
        to_active, norm_grads = grad @ weight, (None, None)
        if norm_weight is not None:
            to_active, *norm_grads = _aten.native_layer_norm_backward(
                to_active,
                active,
                [active.size(-1)],
                mean,
                rstd,
                norm_weight,
                norm_bias,
                [True, True, True],
            )
        if ctx.settings[0]:
            to_hidden = _aten.gelu_backward(to_active, hidden)
        else:
            to_hidden = _aten.threshold_backward(to_active, hidden, 0)
        return None, to_hidden, *norm_grads, weight_grad, rows.sum(0)


def _normalised(
    settings: tuple[bool, float], hidden: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """norm(activation), activation, and the mean and 1 / deviation of its rows."""
    gelu, eps = settings
    active = F.gelu(hidden) if gelu else F.relu(hidden)
    if weight is None:
        return active, active, None, None
    wide, mean, rstd = torch.native_layer_norm(active, [active.size(-1)], weight, bias, eps)
    return wide, active, mean, rstd
