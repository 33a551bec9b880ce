"""What decoding asks of a model; nothing else of it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

NetInput = Mapping[str, Any]
"""Arguments of the model: src_tokens (B, S) and what else its encoder takes."""


class Decodable(Protocol):
    """A model that decodes step by step; N rows, equally many and adjacent for each sample.

    A state belongs to the model that made it and is changed in place.
    """

    @property
    def max_target_positions(self) -> int:
        """Longest decoder input, bos included."""
        ...

    def start_decoding(self, net_input: NetInput, max_length: int, code_mask: bool = False) -> Any:
        """State after the encoder has run: a row per sample, with room for max_length inputs.

        code_mask: the rows are image codes, not text.
        """
        ...

    def decode_step(self, tokens: Tensor, state: Any, columns: Tensor | None = None) -> Tensor:
        """Logits (N, V) after whole prefixes (N, t) that begin with bos.

        columns: (C,) int64, ids whose logits alone are wanted; the result is (N, C) then.
        """
        ...

    def reorder(self, state: Any, order: Tensor) -> None:
        """Let row i continue what was row order[i], of the same sample.

        order: (N',) int64; there may be more rows for each sample than before.
        """
        ...

    def keep_samples(self, state: Any, kept: Tensor) -> None:
        """Drop all samples but kept: (B',) int64."""
        ...


class Scorable(Protocol):
    """A model that decodes many continuations of a decoder input in one pass."""

    def encode(self, net_input: NetInput) -> Any:
        """Encoder output of B samples."""
        ...

    def decode_tree(
        self,
        tokens: Tensor,
        position: Tensor,
        visible: Tensor,
        encoder_out: Any,
        length: int,
    ) -> Tensor:
        """Features (B, T, D) of tokens (B, T) at positions (B, T) below length, bos at 0.

        visible: (B, T, T) bool, which keys (last) each query sees; itself at least.
        """
        ...

    def output_rows(self, ids: Tensor) -> Tensor:
        """Rows of the output matrix, (M,) -> (M, D): logits are features times these."""
        ...
