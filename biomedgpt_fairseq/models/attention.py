"""Multi-head attention with an additive bias and one factor per head.

`attend` is the one place that chooses a kernel.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.models.bias import LayerBias
from biomedgpt_fairseq.models.lean_attention import lean_attention
from biomedgpt_fairseq.models.positions import position_scale, split_heads


class KeyValue(NamedTuple):
    """Keys and values, (B, H, S, h) each."""

    keys: Tensor
    values: Tensor

    def append(self, later: KeyValue) -> KeyValue:
        """Both, one after the other; a batch of one is shared by all rows."""
        rows = later.keys.size(0)
        keys, values = (part.expand(rows, -1, -1, -1) for part in self)
        return KeyValue(
            torch.cat([keys, later.keys], dim=2), torch.cat([values, later.values], dim=2)
        )


class Cross(NamedTuple):
    """What decoder rows look at in the encoder's output.

    memory: encoder output (B, S, D), or keys and values made of it before.
    bias: (1, B or N, H, T, S), -inf towards padding.
    """

    memory: Tensor | KeyValue
    bias: Tensor


def attend(
    query: Tensor,
    keys_values: KeyValue,
    bias: Tensor | LayerBias,
    padding: Tensor | None = None,
    scale: float = 1.0,
    dropout: float = 0.0,
    head_scale: Tensor | None = None,
) -> Tensor:
    """Softmax in float32 of query . key * scale + bias, times the values and a factor per head.

    query: (N, H, T, h); keys, values: (B, H, S, h) with N a multiple of B: rows of one sample are
    adjacent and share its keys.  bias: (1, B or N, H, T, S), -inf where a pair must not meet.
    padding: (B, S) bool, True for keys that no query may see.  head_scale: (H,).
    Returns (N, H, T, h).
    """
    keys, values = keys_values
    rows, samples = query.size(0), keys.size(0)
    shared_bias = bias.shared if isinstance(bias, LayerBias) else bias
    if rows == samples and not dropout and not _fused(query, keys, shared_bias):
        layer_bias = bias if isinstance(bias, LayerBias) else LayerBias(bias)
        return lean_attention(query, keys, values, layer_bias, padding, scale, head_scale)
    if isinstance(bias, LayerBias):
        bias = bias.dense()
    if rows != samples:
        # The rows of a sample become more queries of it: its keys are read once, never copied.
        shared = rows // samples
        query = query.view(samples, shared, *query.shape[1:]).transpose(1, 2).flatten(2, 3)
        if bias.size(0) == rows:
            bias = bias.view(samples, shared, *bias.shape[1:])
        else:
            bias = bias.unsqueeze(1).expand(-1, shared, -1, -1, -1)
        bias = bias.transpose(1, 2).flatten(2, 3)
    if _fused(query, keys, bias):
        if padding is not None:
            bias = bias.masked_fill(padding[:, None, None, :], -torch.inf)
        context = F.scaled_dot_product_attention(
            query, keys, values, attn_mask=bias, dropout_p=dropout, scale=scale
        )
    else:
        context = _attend_plainly(query, keys_values, bias, padding, scale, dropout)
    if rows != samples:
        length = context.size(2) // shared
        context = context.view(samples, -1, shared, length, context.size(3))
        context = context.transpose(1, 2).flatten(0, 1)
    return context if head_scale is None else context * head_scale[:, None, None]


def _fused(query: Tensor, keys: Tensor, bias: Tensor) -> bool:
    """Whether a fused kernel serves.

    On a CPU none gives the bias its gradient; the fall-back keeps more for backward than ours.
    """
    if query.is_cuda:
        return True
    needs_grad = query.requires_grad or keys.requires_grad or bias.requires_grad
    return not (torch.is_grad_enabled() and needs_grad)


def _attend_plainly(
    query: Tensor,
    keys_values: KeyValue,
    bias: Tensor,
    padding: Tensor | None,
    scale: float,
    dropout: float,
) -> Tensor:
    """The same in separate steps, for dropout and for rows that share keys, in training."""
    scores = (query * scale) @ keys_values.keys.transpose(-1, -2)
    scores += bias
    if padding is not None:
        scores = scores.masked_fill_(padding[:, None, None, :], -torch.inf)
    narrow = scores.dtype in (torch.float16, torch.bfloat16)
    weights = F.softmax(scores, dim=-1, dtype=torch.float32 if narrow else None)
    if dropout:
        weights = F.dropout(weights, dropout)
    return weights.to(query.dtype) @ keys_values.values


class MultiheadAttention(nn.Module):
    """Projections around `attend`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.scale = position_scale(config.head_dim, config.attn_scale_factor)
        self.dropout = config.attention_dropout
        self.c_attn = nn.Parameter(torch.ones(config.heads)) if config.scale_heads else None
        self.k_proj = nn.Linear(config.dim, config.dim)
        self.v_proj = nn.Linear(config.dim, config.dim)
        self.q_proj = nn.Linear(config.dim, config.dim)
        self.out_proj = nn.Linear(config.dim, config.dim)

    def queries(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, H, T, h)."""
        return split_heads(self.q_proj(x), self.heads)

    def keys_values(self, x: Tensor) -> KeyValue:
        """(B, S, D) -> (B, H, S, h) twice."""
        return KeyValue(
            split_heads(self.k_proj(x), self.heads), split_heads(self.v_proj(x), self.heads)
        )

    def forward(
        self,
        query: Tensor,
        keys_values: KeyValue,
        bias: Tensor | LayerBias,
        padding: Tensor | None = None,
    ) -> Tensor:
        """query (N, H, T, h) and the rest as `attend` wants it -> (N, T, D)."""
        dropout = self.dropout if self.training else 0.0
        context = attend(query, keys_values, bias, padding, self.scale, dropout, self.c_attn)
        return self.out_proj(context.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]
