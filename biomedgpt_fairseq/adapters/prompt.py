"""Prefix prompts: learned keys and values in front of every self-attention."""

from __future__ import annotations

from torch import Tensor, nn

from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.models.attention import KeyValue
from biomedgpt_fairseq.models.prefix import NoPrefix

DROPOUT = 0.2


class PrefixPrompt(NoPrefix):
    """Fills the prefix slot of a stack (P-tuning v2, arXiv:2110.07602)."""

    def __init__(self, config: ModelConfig, layers: int, length: int, hidden: int | None) -> None:
        """length: prefix positions; hidden: width of the projection network, None: no network."""
        super().__init__(layers)
        self.length, self.heads = length, config.heads
        width = layers * 2 * config.dim
        self.embedding = nn.Embedding(length, width if hidden is None else config.dim)
        if hidden is not None:
            self.trans = nn.Sequential(
                nn.Linear(config.dim, hidden), nn.ReLU(), nn.Linear(hidden, width)
            )
        self.projected = hidden is not None
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, batch: int) -> list[KeyValue | None]:
        """Keys and values (batch, H, length, h) of every layer."""
        x: Tensor = self.embedding.weight
        if self.projected:
            x = self.trans(x)
        x = self.dropout(x.expand(batch, -1, -1))  # (B, n, layers * 2 * D)
        x = x.view(batch, self.length, self.layers, 2, self.heads, -1)
        x = x.permute(2, 3, 0, 4, 1, 5)  # (layers, 2, batch, H, n, h)
        return [KeyValue(keys, values) for keys, values in x]
