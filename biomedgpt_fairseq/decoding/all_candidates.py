"""Exact scores of all answers of a closed set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from biomedgpt_fairseq.decoding.candidate_plan import TreeChunk, plan_chunks, sum_paths
from biomedgpt_fairseq.decoding.protocol import NetInput, Scorable
from biomedgpt_fairseq.text.trie import AnswerTrie
from biomedgpt_fairseq.text.vocab import Vocabulary

MAX_NODES = 512
"""Nodes in a row whose pairs (MAX_NODES squared per head) are held at once, and"""
MAX_POSITIONS = 4096
"""nodes of all rows, for which a number per encoder position and head is held."""


def score_candidates(
    models: Sequence[Scorable],
    net_input: NetInput,
    decoder_prompts: Sequence[Sequence[int]],
    trie: AnswerTrie,
    chunk: int,
) -> Tensor:
    """Log-probability of each answer among the answers: (B, K) float32.

    Summed over the answer's tokens and eos, normalised over what the trie allows at each; not
    divided by the length; the prompt contributes nothing.  Several models: their probabilities
    are averaged token by token, as in the search.
    net_input: of B samples; the encoder runs once.  decoder_prompts: B lists of ids with bos.
    chunk: nodes of the trie that are decoded together for each sample, at least; more where that
    needs little memory.
    Raises ValueError without models, on a chunk below 1 and on the wrong number of prompts.
    """
    batch = net_input["src_tokens"].size(0)
    if not models:
        raise ValueError("scoring needs at least one model, found none")
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1, found {chunk}")
    if len(decoder_prompts) != batch or not all(decoder_prompts):
        raise ValueError(
            f"every sample needs a decoder prompt with at least bos: {batch} samples, found "
            f"{len(decoder_prompts)} prompts of lengths {[len(p) for p in decoder_prompts]}"
        )
    scores = _score(models, net_input, decoder_prompts, trie, chunk)
    return scores.clone()  # outside inference mode: callers may compute on


@torch.inference_mode()
def _score(
    models: Sequence[Scorable],
    net_input: NetInput,
    decoder_prompts: Sequence[Sequence[int]],
    trie: AnswerTrie,
    chunk: int,
) -> Tensor:
    device = net_input["src_tokens"].device
    encoded = [model.encode(net_input) for model in models]
    prompts = _Prompts(decoder_prompts, device)
    on_device = trie.to(device)
    size = min(MAX_NODES, MAX_POSITIONS // len(decoder_prompts))
    edge_scores = torch.zeros(len(decoder_prompts), len(trie) - 1, device=device)  # (B, E)
    # Planned on the host, so that the device is not stopped to count nodes.
    for planned in plan_chunks(trie.to("cpu"), max(chunk, size)):
        deepest = max(planned.depth.tolist(), default=0)
        part = TreeChunk(*(tensor.to(device) for tensor in planned))
        row = prompts.with_tree(part, deepest)
        lprobs = [
            _edge_lprobs(model, encoder_out, row, part)
            for model, encoder_out in zip(models, encoded, strict=True)
        ]
        averaged = torch.stack(lprobs).logsumexp(0) - math.log(len(lprobs))
        edge_scores[:, part.edge] = averaged
    return sum_paths(on_device, edge_scores)


class _Row(NamedTuple):
    """Prompt and tree of every sample, see `Scorable.decode_tree`; source: (B, N) columns of the
    branching nodes; length: positions in use."""

    tokens: Tensor
    position: Tensor
    visible: Tensor
    source: Tensor
    length: int


class _Prompts:
    """Decoder prompts, right-padded: tokens (B, P), lengths (B,)."""

    def __init__(self, prompts: Sequence[Sequence[int]], device: torch.device) -> None:
        width = max(map(len, prompts))
        padded = [[*p, *[Vocabulary.pad] * (width - len(p))] for p in prompts]
        self.tokens = torch.tensor(padded, device=device)
        self.lengths = torch.tensor([len(p) for p in prompts], device=device)

    def with_tree(self, part: TreeChunk, deepest: int) -> _Row:
        """The tree behind each prompt; deepest: largest depth in it."""
        batch, width = self.tokens.shape
        nodes = len(part.token)
        column = torch.arange(width, device=self.tokens.device)
        tokens = torch.cat([self.tokens, part.token.expand(batch, -1)], dim=1)
        last = self.lengths.unsqueeze(1) - 1  # (B, 1): where the root is
        position = torch.cat([column.expand(batch, -1), last + part.depth], dim=1)
        visible = torch.zeros(
            batch, width + nodes, width + nodes, dtype=torch.bool, device=column.device
        )
        visible[:, :width, :width] = column.unsqueeze(1) >= column
        visible[:, width:, :width] = (column <= last).unsqueeze(1)
        visible[:, width:, width:] = part.above
        source = torch.where(part.source == nodes, last, width + part.source)  # (B, N)
        return _Row(tokens, position, visible, source, width + deepest)


def _edge_lprobs(model: Scorable, encoder_out: Any, row: _Row, part: TreeChunk) -> Tensor:
    """Log-probability of each edge among those of its node: (B, E') float32."""
    features = model.decode_tree(row.tokens, row.position, row.visible, encoder_out, row.length)
    batch = torch.arange(len(features), device=features.device).unsqueeze(1)
    features = features[batch, row.source]  # (B, N, D)
    logits = (features @ model.output_rows(part.ids).T).float()  # (B, N, U)
    logits = logits[:, part.origin, part.column]  # (B, E')
    node = part.origin.expand_as(logits)
    shape = len(logits), len(part.source)
    top = logits.new_full(shape, -math.inf).scatter_reduce(1, node, logits, "amax")
    shifted = logits - top.gather(1, node)
    total = logits.new_zeros(shape).scatter_add(1, node, shifted.exp())
    return shifted - total.log().gather(1, node)
