"""Models and processors together: log-probabilities of the next token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from biomedgpt_fairseq.decoding.protocol import Decodable, NetInput
from biomedgpt_fairseq.decoding.rows import Processor, Rows


class NextLprobs(NamedTuple):
    """Log-probabilities (N, C) float32 of the next token, and the ids (C,) that the columns stand
    for; None: all ids in order."""

    lprobs: Tensor
    columns: Tensor | None


class Ensemble:
    """One or more models that decode the same rows; their probabilities are averaged.

    models and states belong together, see `start`.  temperature divides the logits.
    """

    def __init__(
        self,
        models: Sequence[Decodable],
        states: Sequence[Any],
        processors: Sequence[Processor],
        temperature: float = 1.0,
    ) -> None:
        if not models:
            raise ValueError("decoding needs at least one model, found none")
        self.members = list(zip(models, states, strict=True))
        self.processors = list(processors)
        self.on_logits = [p for p in processors if p.acts_on == "logits"]
        self.on_lprobs = [p for p in processors if p.acts_on == "lprobs"]
        self.temperature = temperature
        # Where one processor leaves a handful of ids, the logits of the others are not computed.
        wide = [p for p in self.processors if not p.specials_only]
        self.narrowing = wide[0] if len(wide) == 1 else None

    def next_lprobs(self, rows: Rows) -> NextLprobs:
        """Log-probabilities of the token behind rows.tokens, of all ids that are possible."""
        for processor in self.processors:
            processor.advance(rows)
        if self.narrowing is not None:
            rows = replace(rows, columns=self.narrowing.columns(rows))
        parts = [self._member_lprobs(model, state, rows) for model, state in self.members]
        lprobs = parts[0]
        if len(parts) > 1:
            lprobs = torch.stack(parts).logsumexp(0) - math.log(len(parts))
        for processor in self.on_lprobs:
            lprobs = processor(rows, lprobs)
        return NextLprobs(lprobs, rows.columns)

    def _member_lprobs(self, model: Decodable, state: Any, rows: Rows) -> Tensor:
        logits = model.decode_step(rows.tokens, state, rows.columns).float()  # (N, V or C)
        if self.temperature != 1.0:
            logits = logits / self.temperature
        for processor in self.on_logits:
            logits = processor(rows, logits)
        return logits.log_softmax(1)

    def reorder(self, order: Tensor) -> None:
        """Let row i continue what was row order[i]."""
        for model, state in self.members:
            model.reorder(state, order)

    def keep_samples(self, kept: Tensor) -> None:
        """Drop all samples but kept (B',)."""
        for model, state in self.members:
            model.keep_samples(state, kept)


def start_states(
    models: Sequence[Decodable], net_input: NetInput, beam: int, max_length: int, code_mask: bool
) -> list[Any]:
    """State of each model; their encoders run here, once."""
    return [model.start_decoding(net_input, beam, max_length, code_mask) for model in models]
