"""Random initial weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.models.attention import MultiheadAttention

BERT_STD = 0.02


@torch.no_grad()
def init_weights(module: nn.Module) -> None:
    """BERT's initial values: N(0, 0.02) for matrices and tables, zero for biases and padding;
    He's for convolutions.  For `Module.apply`."""
    if isinstance(module, nn.Linear):
        _fill_linear(module, BERT_STD)
    elif isinstance(module, nn.Embedding):
        _fill_table(module, BERT_STD)
    elif isinstance(module, nn.Conv2d):
        fan_out = module.out_channels * math.prod(module.kernel_size)
        module.weight.normal_(0.0, math.sqrt(2.0 / fan_out))


def initialiser(config: ModelConfig) -> Callable[[nn.Module], None]:
    """What fills the modules of a network of this configuration, for `Module.apply`."""
    return init_weights if config.init == "bert" else partial(_init_by_width, dim=config.dim)


@torch.no_grad()
def attend_to_alike(encoder: nn.Module) -> None:
    """Make keys of self-attention equal to queries, so that a word at first looks at its like: the
    product of both matrices is near the identity, as in trained networks (Trockman and Kolter
    2023, arXiv 2305.09828; here without their change of values)."""
    for module in encoder.modules():
        if isinstance(module, MultiheadAttention):
            module.k_proj.weight.copy_(module.q_proj.weight)


@torch.no_grad()
def _init_by_width(module: nn.Module, dim: int) -> None:
    """Matrices N(0, 2 / (inputs + outputs)) (Glorot and Bengio 2010), tables of vectors
    N(0, 1 / dim) (Vaswani et al. 2017); the rest, tables of attention biases too, as BERT's."""
    if isinstance(module, nn.Linear):
        _fill_linear(module, math.sqrt(2.0 / (module.in_features + module.out_features)))
    elif isinstance(module, nn.Embedding) and module.embedding_dim == dim:
        _fill_table(module, dim**-0.5)
    else:
        init_weights(module)


def _fill_linear(linear: nn.Linear, std: float) -> None:
    linear.weight.normal_(0.0, std)
    if linear.bias is not None:
        linear.bias.zero_()


def _fill_table(table: nn.Embedding, std: float) -> None:
    table.weight.normal_(0.0, std)
    if table.padding_idx is not None:
        table.weight[table.padding_idx].zero_()
