"""Decoding step by step: each step computes only new positions.

Keys and values of earlier positions are cached; those of the encoder's output are computed once
per sample and shared by its rows.  Storage grows with the longest prefix, up to the given maximum.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from biomedgpt_fairseq.models.attention import Cross, KeyValue
from biomedgpt_fairseq.models.decoder import Decoder, PositionKeys
from biomedgpt_fairseq.models.encoder import EncoderOutput
from biomedgpt_fairseq.models.layers import Extend

FIRST_CAPACITY = 32


@dataclass
class DecodingState:
    """What decoding has seen so far; N rows, equally many and adjacent for each sample."""

    max_length: int
    code: bool
    """Whether the rows are image codes."""
    prompt_length: int
    """Positions before bos in the cache."""
    cache: Tensor
    """(layers, 2, N, H, prompt_length + capacity, h) keys and values."""
    cross: list[KeyValue]
    """(B, H, S, h) each, per layer."""
    cross_position_key: Tensor
    """(1 or B, H, S, h)"""
    padding: Tensor
    """(B, S) bool"""
    tables: Tensor
    """(rows, layers * H) relative biases of all layers."""
    position_keys: PositionKeys
    """Of the first `capacity` positions."""
    length: int = 0
    """Decoder positions in the cache."""

    @property
    def capacity(self) -> int:
        return self.position_keys.self_query.size(2)


@torch.no_grad()
def start(
    decoder: Decoder, encoder_out: EncoderOutput, max_length: int, code: bool
) -> DecodingState:
    """State before the first step, with a row per sample."""
    config = decoder.config
    encoded = encoder_out["encoder_out"]
    prompt = decoder.decoder_prompt_encoder
    length: int = prompt.length  # type: ignore[assignment]
    capacity = min(FIRST_CAPACITY, max_length)
    samples, places = encoded.size(0), length + capacity
    shape = (config.decoder_layers, 2, samples, config.heads, places, config.head_dim)
    cache = encoded.new_zeros(shape)
    for layer, prefix in zip(cache, prompt(1), strict=True):
        if prefix is not None:
            layer[0, :, :, :length], layer[1, :, :, :length] = prefix
    tables = decoder.image_rel_pos_table_list if code else decoder.token_rel_pos_table_list
    return DecodingState(
        max_length=max_length,
        code=code,
        prompt_length=length,
        cache=cache,
        cross=[layer.encoder_attn.keys_values(encoded) for layer in decoder.layers],  # type: ignore[operator, union-attr]
        cross_position_key=decoder.cross_position_keys(encoder_out["positions"]),
        padding=encoder_out["padding_mask"],
        tables=torch.cat([table.weight for table in tables], dim=1),  # type: ignore[misc]
        position_keys=decoder.position_keys(capacity, code),
    )


@torch.no_grad()
def step(decoder: Decoder, tokens: Tensor, state: DecodingState) -> Tensor:
    """Features (N, D) after whole prefixes (N, t); computes the positions not cached yet.

    Raises ValueError if there is no new position, or no room for it.
    """
    begin, end = state.length, tokens.size(1)
    if not begin < end <= state.max_length:
        raise ValueError(
            f"prefixes of {end} tokens, after a step with {begin}, must be longer than that and "
            f"at most {state.max_length}"
        )
    _reserve(decoder, state, end)
    biases = _self_biases(decoder, state, begin, end)  # (layers, 1, H, t, prompt + end)
    query = state.position_keys.cross_query[:, :, begin:end]
    cross_bias = decoder.cross_bias(query, state.cross_position_key, state.padding)
    x = decoder.embed(tokens[:, begin:], begin, state.code)
    for index, layer in enumerate(decoder.layers):
        cross = Cross(state.cross[index], cross_bias)
        x = layer(x, biases[index], cross, _append_to(state, index, begin, end))
    state.length = end
    return decoder.layer_norm(x[:, -1])  # type: ignore[no-any-return]


@torch.no_grad()
def reorder_rows(state: DecodingState, order: Tensor) -> None:
    """Let row i continue row order[i] of the same sample; order may name rows for new ones."""
    if order.size(0) != state.cache.size(2):
        state.cache = state.cache.index_select(2, order)
        return
    filled = state.cache[:, :, :, :, state.prompt_length : state.prompt_length + state.length]
    filled.copy_(filled.index_select(2, order))


@torch.no_grad()
def keep_samples(state: DecodingState, kept: Tensor) -> None:
    """Drop the rows of all samples but kept: (B',) int64."""
    beam = state.cache.size(2) // state.padding.size(0)
    rows = (kept[:, None] * beam + torch.arange(beam, device=kept.device)).flatten()
    state.cache = state.cache.index_select(2, rows)
    state.cross = [KeyValue(*(part.index_select(0, kept) for part in kv)) for kv in state.cross]
    state.padding = state.padding.index_select(0, kept)
    if state.cross_position_key.size(0) > 1:
        state.cross_position_key = state.cross_position_key.index_select(0, kept)


def _reserve(decoder: Decoder, state: DecodingState, needed: int) -> None:
    """Room for `needed` positions; doubles, so that growing costs little per step."""
    if needed <= state.capacity:
        return
    capacity = min(state.max_length, max(needed, 2 * state.capacity))
    state.cache = F.pad(state.cache, (0, 0, 0, capacity - state.capacity))
    state.position_keys = decoder.position_keys(capacity, state.code)


def _self_biases(decoder: Decoder, state: DecodingState, begin: int, end: int) -> Tensor:
    """Biases of the new positions in every layer: (layers, 1, H, t, prompt + end)."""
    keys, config = state.position_keys, decoder.config
    absolute = decoder.absolute_self_bias(
        keys.self_query[:, :, begin:end], keys.self_key[:, :, :end]
    )
    buckets = decoder.buckets(state.capacity, state.code, absolute.device)[begin:end, :end]
    relative = F.embedding(buckets, state.tables)  # (t, end, layers * H)
    relative = relative.view(end - begin, end, config.decoder_layers, config.heads)
    bias = absolute + relative.permute(2, 3, 0, 1).unsqueeze(1)
    future = torch.ones(end - begin, end, dtype=torch.bool, device=bias.device).triu(1 + begin)
    return F.pad(bias.masked_fill(future, -torch.inf), (state.prompt_length, 0))


def _append_to(state: DecodingState, layer: int, begin: int, end: int) -> Extend:
    """Writes keys and values of new positions into the cache and gives back all so far."""
    keys, values = state.cache[layer]
    offset = state.prompt_length

    def extend(new: KeyValue) -> KeyValue:
        keys[:, :, offset + begin : offset + end] = new.keys
        values[:, :, offset + begin : offset + end] = new.values
        return KeyValue(keys[:, :, : offset + end], values[:, :, : offset + end])

    return extend
