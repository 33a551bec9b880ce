"""Encoder and decoder layer: pre-norm, with layer norms after attention and inside the FFN."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.models.attention import Cross, KeyValue, MultiheadAttention
from biomedgpt_fairseq.models.bias import LayerBias
from biomedgpt_fairseq.models.drop_path import DropPath
from biomedgpt_fairseq.models.lean_feed_forward import lean_feed_forward
from biomedgpt_fairseq.models.ops import layer_norm

Extend = Callable[[KeyValue], KeyValue]
"""Keys and values of new positions -> those of all positions that they may look at."""


def keep(keys_values: KeyValue) -> KeyValue:
    """The `Extend` of a whole sequence without prompt."""
    return keys_values


class _Layer(nn.Module):
    """What both layers do alike; subclasses make the modules, in the order of checkpoints."""

    fc1: nn.Linear
    fc2: nn.Linear
    ffn_layernorm: nn.Module
    final_layer_norm: nn.Module
    w_resid: nn.Parameter | None
    adapter: nn.Module
    """Slot for a module on the output of the feed-forward block, before the residual."""

    def __init__(self, config: ModelConfig, drop_path: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.activation_dropout = nn.Dropout(config.activation_dropout)
        self.activation = nn.GELU() if config.activation == "gelu" else nn.ReLU()
        self.drop_path = DropPath(drop_path)
        self.adapter = nn.Identity()
        if config.scale_resids:
            self.w_resid = nn.Parameter(torch.ones(config.dim))
        else:
            self.register_parameter("w_resid", None)

    def add(self, x: Tensor, branch: Tensor) -> Tensor:
        """Residual connection around an attention block."""
        kept: Tensor = self.drop_path(self.dropout(branch))
        return x + kept

    def feed_forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D), residual included."""
        y = self.fc1(self.final_layer_norm(x))
        if self.training and self.activation_dropout.p:
            y = self.fc2(self.ffn_layernorm(self.activation_dropout(self.activation(y))))
        else:
            y = lean_feed_forward(y, self.activation, self.ffn_layernorm, self.fc2)
        branch: Tensor = self.drop_path(self.adapter(self.dropout(y)))
        return branch + (x if self.w_resid is None else self.w_resid * x)


def _norm_if(wanted: bool, dim: int) -> nn.Module:
    return layer_norm(dim) if wanted else nn.Identity()


class EncoderLayer(_Layer):
    """Self-attention and feed-forward block."""

    def __init__(self, config: ModelConfig, drop_path: float) -> None:
        super().__init__(config, drop_path)
        self.self_attn = MultiheadAttention(config)
        self.self_attn_layer_norm = layer_norm(config.dim)
        self.fc1 = nn.Linear(config.dim, config.ffn_dim)
        self.fc2 = nn.Linear(config.ffn_dim, config.dim)
        self.attn_ln = _norm_if(config.scale_attn, config.dim)
        self.ffn_layernorm = _norm_if(config.scale_fc, config.ffn_dim)
        self.final_layer_norm = layer_norm(config.dim)

    def forward(
        self, x: Tensor, bias: Tensor | LayerBias, padding: Tensor | None, extend: Extend = keep
    ) -> Tensor:
        """x (B, S, D), bias (1 or B, H, S, keys), padding (B, keys) bool -> (B, S, D)."""
        y = self.self_attn_layer_norm(x)
        keys_values = extend(self.self_attn.keys_values(y))
        y = self.self_attn(self.self_attn.queries(y), keys_values, bias, padding)
        return self.feed_forward(self.add(x, self.attn_ln(y)))


class DecoderLayer(_Layer):
    """Causal self-attention, cross-attention and feed-forward block."""

    def __init__(self, config: ModelConfig, drop_path: float) -> None:
        super().__init__(config, drop_path)
        self.self_attn = MultiheadAttention(config)
        self.self_attn_ln = _norm_if(config.scale_attn, config.dim)
        self.cross_attn_ln = _norm_if(config.scale_attn, config.dim)
        self.self_attn_layer_norm = layer_norm(config.dim)
        self.encoder_attn = MultiheadAttention(config)
        self.encoder_attn_layer_norm = layer_norm(config.dim)
        self.ffn_layernorm = _norm_if(config.scale_fc, config.ffn_dim)
        self.fc1 = nn.Linear(config.dim, config.ffn_dim)
        self.fc2 = nn.Linear(config.ffn_dim, config.dim)
        self.final_layer_norm = layer_norm(config.dim)

    def forward(
        self, x: Tensor, bias: Tensor | LayerBias, cross: Cross, extend: Extend = keep
    ) -> Tensor:
        """New positions (N, T, D) -> (N, T, D).

        bias: (1 or N, H, T, keys) with -inf for the future; extend: earlier positions, prompt.
        """
        y = self.self_attn_layer_norm(x)
        keys_values = extend(self.self_attn.keys_values(y))
        y = self.self_attn(self.self_attn.queries(y), keys_values, bias)
        x = self.add(x, self.self_attn_ln(y))
        y = self.encoder_attn.queries(self.encoder_attn_layer_norm(x))
        memory = cross.memory
        if not isinstance(memory, KeyValue):
            memory = self.encoder_attn.keys_values(memory)
        y = self.encoder_attn(y, memory, cross.bias)
        x = self.add(x, self.cross_attn_ln(y))
        return self.feed_forward(x)
