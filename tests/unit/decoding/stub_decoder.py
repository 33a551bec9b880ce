"""A decoder with fixed logits, and scores of given sequences.

Loaded by path (`runpy.run_path`), because test folders are no packages.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from biomedgpt_fairseq.text.vocab import Vocabulary

BOS, PAD, EOS = 0, 1, 2


def make_vocab(num_words: int, num_codes: int = 0, num_bins: int = 0) -> Vocabulary:
    """Specials 0..3, words from 4 on, <mask>, codes, bins."""
    return Vocabulary([str(i) for i in range(num_words)], num_codes, num_bins)


class State:
    """Decoder inputs cached so far, per row."""

    def __init__(self, sources: list[tuple[int, ...]], max_length: int) -> None:
        self.sources, self.max_length = sources, max_length
        self.cached: list[list[int]] = [[] for _ in sources]

    @property
    def beam(self) -> int:
        """Rows per sample."""
        return len(self.cached) // len(self.sources)


class StubDecoder:
    """Logits are a fixed random function of the sample's source text and the prefix.

    Its cache is checked: a prefix must continue what reorder and keep_samples left in the row.
    """

    def __init__(self, vocab_size: int, seed: int = 0, max_target_positions: int = 64) -> None:
        self.vocab_size, self.seed = vocab_size, seed
        self.max_target_positions = max_target_positions
        self.encoder_runs = 0
        self.rows_decoded = 0
        self.positions_decoded = 0
        self.widths: list[int] = []
        """How many logits were asked for, step by step."""
        self.code_mask = False
        self.table: dict[tuple[int, ...], list[float]] = {}
        """Logits after these prefixes (with bos), whatever the source."""

    def logits(self, source: Sequence[int], prefix: Sequence[int]) -> Tensor:
        """(V,) float32."""
        key = tuple(prefix)
        if key in self.table:
            return torch.tensor(self.table[key])
        seed = zlib.crc32(repr((self.seed, tuple(source), key)).encode())
        values = np.random.RandomState(seed).standard_normal(self.vocab_size) * 2
        return torch.from_numpy(values).float()

    def _sources(self, net_input: Mapping[str, Any]) -> list[tuple[int, ...]]:
        self.encoder_runs += 1
        return [tuple(t for t in row if t != PAD) for row in net_input["src_tokens"].tolist()]

    def start_decoding(
        self, net_input: Mapping[str, Any], max_length: int, code_mask: bool = False
    ) -> State:
        self.code_mask = code_mask
        return State(self._sources(net_input), max_length)

    def decode_step(self, tokens: Tensor, state: State, columns: Tensor | None = None) -> Tensor:
        rows = tokens.tolist()
        assert len(rows) == len(state.cached)
        assert tokens.size(1) <= state.max_length
        assert all(row[: len(old)] == old for row, old in zip(rows, state.cached, strict=True))
        state.cached = rows
        self.rows_decoded += len(rows)
        logits = torch.stack(
            [self.logits(state.sources[i // state.beam], row) for i, row in enumerate(rows)]
        )
        logits = logits if columns is None else logits[:, columns]
        self.widths.append(logits.size(1))
        return logits

    def reorder(self, state: State, order: Tensor) -> None:
        picked = order.tolist()
        beam, rest = divmod(len(picked), len(state.sources))
        assert beam >= state.beam and not rest
        assert all(i // beam == j // state.beam for i, j in enumerate(picked))
        state.cached = [state.cached[j] for j in picked]

    def keep_samples(self, state: State, kept: Tensor) -> None:
        samples, beam = kept.tolist(), state.beam
        state.cached = [state.cached[s * beam + i] for s in samples for i in range(beam)]
        state.sources = [state.sources[s] for s in samples]

    def encode(self, net_input: Mapping[str, Any]) -> list[tuple[int, ...]]:
        return self._sources(net_input)

    def decode_tree(
        self, tokens: Tensor, position: Tensor, visible: Tensor, encoder_out: Any, length: int
    ) -> Tensor:
        """Features are logits: the output matrix is the identity."""
        features = torch.zeros(*tokens.shape, self.vocab_size)
        for b, source in enumerate(encoder_out):
            for query in range(tokens.size(1)):
                seen = torch.nonzero(visible[b, query]).flatten()
                seen = seen[position[b, seen].argsort()]
                assert query in seen.tolist()
                places = position[b, seen].tolist()
                assert places == list(range(len(places))) and len(places) <= length
                features[b, query] = self.logits(source, tokens[b, seen].tolist())
        self.rows_decoded += len(tokens)
        self.positions_decoded += tokens.numel()
        return features

    def output_rows(self, ids: Tensor) -> Tensor:
        return torch.eye(self.vocab_size)[ids]


def net_input(*sources: Sequence[int]) -> dict[str, Tensor]:
    """Right-padded source texts."""
    width = max(len(s) for s in sources)
    rows = [[*s, *[PAD] * (width - len(s))] for s in sources]
    return {"src_tokens": torch.tensor(rows)}


def score_sequence(
    decoder: StubDecoder,
    source: Sequence[int],
    tokens: Sequence[int],
    allowed: Callable[[list[int]], Sequence[int]] | None = None,
) -> list[float]:
    """Log-probability of each token; allowed(tokens so far) -> ids to normalise over."""
    found = []
    for t, token in enumerate(tokens):
        logits = decoder.logits(source, [BOS, *tokens[:t]]).double()
        if allowed is not None:
            ids = list(allowed(list(tokens[:t])))
            found.append(
                float(logits[token] - logits[ids].logsumexp(0)) if token in ids else -math.inf
            )
        else:
            found.append(float(logits.log_softmax(0)[token]))
    return found
