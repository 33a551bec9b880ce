"""Exact scores of all answers of a closed set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from biomedgpt_fairseq.decoding.candidate_plan import PathChunk, plan_chunks, sum_paths
from biomedgpt_fairseq.decoding.protocol import NetInput, Scorable
from biomedgpt_fairseq.text.trie import AnswerTrie
from biomedgpt_fairseq.text.vocab import Vocabulary

MAX_POSITIONS = 1024
"""Decoder positions, rows x tokens, whose logits are held at once: 240 MB with 59,457 ids."""


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
    chunk: most paths through the trie that are decoded together for each sample.
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
    lengths = torch.tensor([len(p) for p in decoder_prompts], device=device)  # (B,)
    longest = int(trie.depth.max()) + max(map(len, decoder_prompts))
    size = max(1, min(chunk, MAX_POSITIONS // (len(lengths) * longest)))
    edge_scores = torch.zeros(len(lengths), len(trie.child_token), device=device)  # (B, E)
    on_device = trie.to(device)
    # Planned on the host, so that the device is not stopped to count paths.
    for planned in plan_chunks(trie.to("cpu"), size, Vocabulary.pad):
        part = PathChunk(*(tensor.to(device) for tensor in planned))
        inputs = _decoder_inputs(decoder_prompts, part.paths)  # (B*n, T)
        lprobs = [
            _edge_lprobs(
                model.forward_decoder(inputs, model.expand(encoder_out, len(part.paths))),
                part,
                lengths,
                on_device,
            )
            for model, encoder_out in zip(models, encoded, strict=True)
        ]
        averaged = torch.stack(lprobs).logsumexp(0) - math.log(len(lprobs))
        edge_scores[:, part.edge] = averaged
    return sum_paths(on_device, edge_scores)


def _decoder_inputs(prompts: Sequence[Sequence[int]], paths: Tensor) -> Tensor:
    """Prompt and path of every pair, right-padded: (n, D) -> (B*n, T), each sample n times."""
    n, depth = paths.shape
    width = max(map(len, prompts)) + depth
    inputs = torch.full((len(prompts), n, width), Vocabulary.pad, device=paths.device)
    for row, prompt in zip(inputs, prompts, strict=True):
        row[:, : len(prompt)] = torch.tensor(prompt, device=paths.device)
        row[:, len(prompt) : len(prompt) + depth] = paths
    return inputs.flatten(0, 1)


def _edge_lprobs(logits: Tensor, part: PathChunk, lengths: Tensor, trie: AnswerTrie) -> Tensor:
    """Log-probability of each edge among those of its node: (B*n, T, V) -> (B, M) float32."""
    batch = torch.arange(len(lengths), device=lengths.device).unsqueeze(1)  # (B, 1)
    row = batch * len(part.paths) + part.path  # (B, M)
    position = lengths.unsqueeze(1) - 1 + part.depth
    picked = logits[row, position, trie.child_token[part.edge]].float()  # (B, M)
    origin = trie.parent[1:][part.edge]
    node = origin.diff(prepend=origin[:1]).ne(0).cumsum(0).expand_as(picked)  # 0, 1, ..
    shape = len(lengths), len(part.edge)
    top = picked.new_full(shape, -math.inf).scatter_reduce(1, node, picked, "amax")
    shifted = picked - top.gather(1, node)
    total = picked.new_zeros(shape).scatter_add(1, node, shifted.exp())
    return shifted - total.log().gather(1, node)
