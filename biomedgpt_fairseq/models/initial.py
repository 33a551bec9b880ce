"""Random initial weights."""

from __future__ import annotations

import math

import torch
from torch import nn


@torch.no_grad()
def init_weights(module: nn.Module) -> None:
    """BERT's initial values: N(0, 0.02) for matrices and tables, zero for biases and padding;
    He's for convolutions.  For `Module.apply`."""
    if isinstance(module, nn.Linear):
        module.weight.normal_(0.0, 0.02)
        if module.bias is not None:
            module.bias.zero_()
    elif isinstance(module, nn.Embedding):
        module.weight.normal_(0.0, 0.02)
        if module.padding_idx is not None:
            module.weight[module.padding_idx].zero_()
    elif isinstance(module, nn.Conv2d):
        fan_out = module.out_channels * math.prod(module.kernel_size)
        module.weight.normal_(0.0, math.sqrt(2.0 / fan_out))
