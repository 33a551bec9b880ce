"""Classification heads on the features of a decoder position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class HeadOptions:
    """Form of a head.  classifier: "mlp" has a hidden layer `dense`, "linear" has none."""

    classes: int
    inner_dim: int | None = None
    """Width of the hidden layer; None: as wide as the features."""
    classifier: Literal["mlp", "linear"] = "mlp"
    activation: Literal["tanh", "relu", "gelu"] = "tanh"
    dropout: float = 0.0


class ClassificationHead(nn.Module):
    """Features (B, D) -> logits (B, classes)."""

    def __init__(self, dim: int, options: HeadOptions) -> None:
        super().__init__()
        inner = options.inner_dim or dim
        self.dropout = nn.Dropout(options.dropout)
        self.dense: nn.Module = nn.Identity()
        self.activation: nn.Module = nn.Identity()
        if options.classifier == "mlp":
            self.dense = nn.Linear(dim, inner)
            kinds = {"tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU}
            self.activation = kinds[options.activation]()
            dim = inner
        self.out_proj = nn.Linear(dim, options.classes)

    def forward(self, features: Tensor) -> Tensor:
        x = self.activation(self.dense(self.dropout(features)))
        return self.out_proj(self.dropout(x))  # type: ignore[no-any-return]


def last_features(features: Tensor, tokens: Tensor, pad: int) -> Tensor:
    """Features (B, T, D) at each row's last token that is not padding: (B, D)."""
    places = torch.arange(tokens.size(1), device=tokens.device)
    last = places.masked_fill(tokens.eq(pad), -1).amax(dim=1)
    return features[torch.arange(len(tokens), device=tokens.device), last]
