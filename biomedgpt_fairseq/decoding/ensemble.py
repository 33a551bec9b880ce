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
    """Log-probabilities (B, W, C) float32 of the next token, and the ids (C,) that the columns
    stand for; None: all ids in order."""

    lprobs: Tensor
    columns: Tensor | None


class Ensemble:
    """One or more models that decode the same rows; their probabilities are averaged.

    models and states belong together, see `start_states`.  temperature divides the logits.
    width: W, rows per sample.  shared_steps: so many steps, from the first on, the rows of a sample
    are the same, and only one of them is computed.
    """

    def __init__(
        self,
        models: Sequence[Decodable],
        states: Sequence[Any],
        processors: Sequence[Processor],
        temperature: float = 1.0,
        width: int = 1,
        shared_steps: int = 1,
    ) -> None:
        if not models:
            raise ValueError("decoding needs at least one model, found none")
        self.members = list(zip(models, states, strict=True))
        self.processors = list(processors)
        self.on_logits = [p for p in processors if p.acts_on == "logits"]
        self.on_lprobs = [p for p in processors if p.acts_on == "lprobs"]
        self.temperature = temperature
        self.width, self.shared_steps = width, shared_steps
        # Where one processor leaves a handful of ids, the logits of the others are not computed.
        wide = [p for p in self.processors if not p.specials_only]
        self.narrowing = wide[0] if len(wide) == 1 else None

    def next_lprobs(self, rows: Rows) -> NextLprobs:
        """Log-probabilities of the token behind rows.tokens, of all ids that are possible."""
        width = self.width
        if shared := rows.step < self.shared_steps:
            rows = rows.first_of_each(width)
        elif rows.step == self.shared_steps and width > 1:
            rows = self._part(rows)
        for processor in self.processors:
            processor.advance(rows)
        if self.narrowing is not None:
            rows = replace(rows, columns=self.narrowing.columns(rows))
        lprobs = self._decided(rows)
        if lprobs is None:
            parts = [self._member_lprobs(model, state, rows) for model, state in self.members]
            lprobs = parts[0]
            if len(parts) > 1:
                lprobs = torch.stack(parts).logsumexp(0) - math.log(len(parts))
        for processor in self.on_lprobs:
            lprobs = processor(rows, lprobs)
        lprobs = lprobs.unsqueeze(1) if shared else lprobs.view(-1, width, lprobs.size(1))
        return NextLprobs(lprobs.expand(-1, width, -1), rows.columns)

    def _part(self, rows: Rows) -> Rows:
        """From one row per sample to all; their parents are those single rows."""
        assert rows.parent is not None, "rows part behind the first step"
        single = torch.arange(len(rows.parent), device=rows.parent.device) // self.width
        for model, state in self.members:
            model.reorder(state, single)
        return replace(rows, parent=rows.parent // self.width)

    def _decided(self, rows: Rows) -> Tensor | None:
        """Zeros for what is possible where no row has a choice, whatever the models would say.

        They compute these positions together with the next one that they are asked for.
        """
        if self.narrowing is None or rows.columns is None or not self.narrowing.is_decided(rows):
            return None
        size = len(rows.tokens), len(rows.columns)
        return self.narrowing(rows, torch.zeros(size, device=rows.tokens.device))

    def _member_lprobs(self, model: Decodable, state: Any, rows: Rows) -> Tensor:
        logits = model.decode_step(rows.tokens, state, rows.columns).float()  # (N, V or C)
        if self.temperature != 1.0:
            logits = logits / self.temperature
        for processor in self.on_logits:
            logits = processor(rows, logits)
        return logits.log_softmax(1)

    def reorder(self, order: Tensor, step: int) -> None:
        """Before this step, let row i continue what was row order[i]."""
        if step <= self.shared_steps:
            return  # the rows were the same
        for model, state in self.members:
            model.reorder(state, order)

    def keep_samples(self, kept: Tensor) -> None:
        """Drop all samples but kept (B',)."""
        for model, state in self.members:
            model.keep_samples(state, kept)


def start_states(
    models: Sequence[Decodable], net_input: NetInput, max_length: int, code_mask: bool
) -> list[Any]:
    """State of each model; their encoders run here, once."""
    return [model.start_decoding(net_input, max_length, code_mask) for model in models]
