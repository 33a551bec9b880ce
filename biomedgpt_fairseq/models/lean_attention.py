"""Attention whose backward pass makes the softmax again instead of keeping it.

Nothing of size T x S outlives a head: scores, their softmax and the layer's part of the bias exist
for one head of a few samples at a time, which also fits into a processor's cache.  For CPUs, where
torch's own kernel gives the bias no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from biomedgpt_fairseq.models.bias import Block, LayerBias

CHUNK_ELEMENTS = 2**20
"""Scores at a time; 4 MiB of float32."""


class Shape(NamedTuple):
    """What is no tensor: factor of the products, and start of each block of the bias."""

    scale: float
    starts: tuple[tuple[int, int], ...]


def lean_attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    bias: LayerBias,
    padding: Tensor | None,
    scale: float,
    head_scale: Tensor | None,
) -> Tensor:
    """head_scale * softmax(scale * query . key + bias) values: (B, H, T, h).

    query (B, H, T, h); keys, values (B, H, S, h); padding (B, S) bool; head_scale (H,).
    """
    starts = tuple((block.row, block.column) for block in bias.blocks)
    parts = [tensor for block in bias.blocks for tensor in (block.table, block.buckets)]
    return _LeanAttention.apply(  # type: ignore[no-any-return, no-untyped-call]
        Shape(scale, starts), query, keys, values, bias.shared, padding, head_scale, *parts
    )


class _LeanAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        shape: Shape,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        shared: Tensor,
        padding: Tensor | None,
        head_scale: Tensor | None,
        *parts: Tensor,
    ) -> Tensor:
        bias = _bias(shared, parts, shape)
        batch, heads, length, dim = query.shape
        # In this order the caller joins the heads without a copy.
        context = query.new_empty(batch, length, heads, dim)
        for head in range(heads):
            of_head = bias.of_head(head)
            for part in _chunks(query, keys):
                weights = _weights(
                    query[part, head], keys[part, head], of_head, padding, part, shape.scale
                )
                context[part, :, head] = weights @ values[part, head]
        if head_scale is not None:
            context *= head_scale[:, None]
        ctx.shape = shape
        ctx.save_for_backward(query, keys, values, shared, padding, head_scale, *parts)
        return context.transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, keys, values, shared, padding, head_scale, *parts = ctx.saved_tensors
        bias, scale = _bias(shared, parts, ctx.shape), ctx.shape.scale
        grads = [_like(x) for x in (query, keys, values)]
        shared_grad = torch.zeros_like(shared)
        scale_grad = None if head_scale is None else torch.zeros_like(head_scale)
        tables = [torch.zeros_like(block.table) for block in bias.blocks]
        for head in range(query.size(1)):
            of_head = bias.of_head(head)
            score_grad = of_head.new_zeros(of_head.shape)
            for part in _chunks(query, keys):
                q, k, v, g = (x[part, head] for x in (query, keys, values, grad))
                weights = _weights(q, k, of_head, padding, part, scale)
                to_weights = g @ v.transpose(1, 2)
                if scale_grad is not None:
                    scale_grad[head] += _dot(weights, to_weights)
                    g, to_weights = g * head_scale[head], to_weights.mul_(head_scale[head])
                grads[2][part, head] = weights.transpose(1, 2) @ g
                to_scores = _softmax_backward(to_weights, weights)
                grads[0][part, head] = (to_scores @ k).mul_(scale)
                grads[1][part, head] = (to_scores.transpose(1, 2) @ q).mul_(scale)
                if len(score_grad) == 1:
                    score_grad += to_scores.sum(0)
                else:
                    score_grad[part] = to_scores
            shared_grad[:, head] = score_grad if len(shared) > 1 else score_grad.sum(0)
            for table, block in zip(tables, bias.blocks, strict=True):
                table[:, head] = LayerBias.table_gradient(block, block.of(score_grad))
        rest = [grad for table in tables for grad in (table, None)]
        return (None, *grads, shared_grad, None, scale_grad, *rest)


def _bias(shared: Tensor, parts: Any, shape: Shape) -> LayerBias:
    """Tensors of `lean_attention`, put together again."""
    pairs = zip(parts[::2], parts[1::2], shape.starts, strict=True)
    return LayerBias(shared, tuple(Block(table, rows, *start) for table, rows, start in pairs))


def _like(x: Tensor) -> Tensor:
    """Room for the gradient of heads (B, H, T, h) that are views of (B, T, H * h)."""
    batch, heads, length, dim = x.shape
    return x.new_empty(batch, length, heads, dim).transpose(1, 2)


def _chunks(query: Tensor, keys: Tensor) -> Iterator[slice]:
    """Slices of the samples."""
    step = max(1, CHUNK_ELEMENTS // (query.size(2) * keys.size(2)))
    for start in range(0, len(query), step):
        yield slice(start, start + step)


def _weights(
    query: Tensor, keys: Tensor, bias: Tensor, padding: Tensor | None, part: slice, scale: float
) -> Tensor:
    """Softmax of one head's scores: (b, T, h), (b, S, h), (1 or B, T, S) -> (b, T, S)."""
    bias = bias if len(bias) == 1 else bias[part]
    scores = torch.baddbmm(bias, query, keys.transpose(1, 2), alpha=scale)
    if padding is not None:
        scores = scores.masked_fill_(padding[part, None], -torch.inf)
    narrow = scores.dtype in (torch.float16, torch.bfloat16)
    return F.softmax(scores, dim=-1, dtype=torch.float32 if narrow else None).to(query.dtype)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Sum of the products of all elements, in float32 or better."""
    exact = torch.promote_types(a.dtype, torch.float32)
    return torch.dot(a.flatten().to(exact), b.flatten().to(exact))


def _softmax_backward(grad: Tensor, weights: Tensor) -> Tensor:
    """Gradient of the scores: weights * (grad - sum of weights * grad)."""
    return torch._softmax_backward_data(grad, weights, -1, weights.dtype)
