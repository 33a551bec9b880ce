"""Beam search as a user of stock fairseq writes it: `SequenceGenerator` and a callback per row.

The decoder is an ordinary `FairseqIncrementalDecoder`: keys and values are kept per hypothesis and
appended by concatenation, position biases are computed for the whole prefix, logits are those of
the whole vocabulary, and the tokens that may follow are looked up row by row, at each step, in a
trie of dictionaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from fairseq.models import FairseqEncoder, FairseqEncoderDecoderModel, FairseqIncrementalDecoder
from fairseq.sequence_generator import SequenceGenerator
from torch import Tensor

from biomedgpt_fairseq.models.attention import MultiheadAttention
from biomedgpt_fairseq.models.positions import relative_bias
from biomedgpt_fairseq.models.transformer import UnifiedTransformer

BOS = 0
State = dict[str, dict[str, Tensor]]


class DictionaryTrie:
    """Nested dictionaries, one per node."""

    def __init__(self, sequences: Sequence[Sequence[int]]) -> None:
        self.root: dict[int, Any] = {}
        for sequence in sequences:
            node = self.root
            for token in sequence:
                node = node.setdefault(token, {})

    def next_tokens(self, prefix: Sequence[int]) -> list[int]:
        """Tokens that may follow; none off the trie."""
        node = self.root
        for token in prefix:
            if token not in node:
                return []
            node = node[token]
        return list(node)


class GivenEncoder(FairseqEncoder):  # type: ignore[misc]
    """Gives out an encoder output made before, so that decoding can be timed by itself."""

    def __init__(self, dictionary: Any, encoder_out: Any) -> None:
        super().__init__(dictionary)
        self.encoder_out = encoder_out

    def forward(self, src_tokens: Tensor, **inputs: Any) -> dict[str, Tensor]:
        batch = src_tokens.size(0)
        names = {"memory": "encoder_out", "padding": "padding_mask", "positions": "positions"}
        return {
            ours: self.encoder_out[name].expand(batch, *[-1] * (self.encoder_out[name].dim() - 1))
            for ours, name in names.items()
        }

    def reorder_encoder_out(self, encoder_out: dict[str, Tensor], order: Tensor) -> Any:
        return {name: value.index_select(0, order) for name, value in encoder_out.items()}

    def max_positions(self) -> int:
        return 1024


class PlainDecoder(FairseqIncrementalDecoder):  # type: ignore[misc]
    """The decoder of a network, step by step; shares its weights."""

    def __init__(self, dictionary: Any, model: UnifiedTransformer, trie: DictionaryTrie) -> None:
        super().__init__(dictionary)
        self.decoder, self.trie = model.decoder, trie

    def forward(
        self, tokens: Tensor, encoder_out: dict[str, Tensor], incremental_state: State
    ) -> tuple[Tensor, dict[str, Any]]:
        """Logits (N, 1, V) after tokens (N, t)."""
        decoder, length = self.decoder, tokens.size(1)
        absolute, cross = self._biases(tokens, encoder_out)
        buckets = decoder.buckets(length, False, tokens.device)
        x = decoder.embed(tokens[:, -1:], length - 1, code=False)
        for index, layer in enumerate(decoder.layers):
            table = decoder.token_rel_pos_table_list[index].weight
            bias = (absolute + relative_bias(table, buckets))[:, :, -1:]
            y = layer.self_attn_layer_norm(x)
            cache = incremental_state.setdefault(f"self.{index}", {})
            k, v = (_heads(f(y), layer.self_attn.heads) for f in _projections(layer.self_attn))
            if cache:
                k, v = torch.cat([cache["k"], k], dim=2), torch.cat([cache["v"], v], dim=2)
            cache.update(k=k, v=v)
            y = _attention(layer.self_attn, y, k, v, bias)
            x = x + layer.self_attn_ln(y)
            y = layer.encoder_attn_layer_norm(x)
            static = incremental_state.setdefault(f"cross.{index}", {})
            if not static:
                k, v = (
                    _heads(f(encoder_out["memory"]), layer.encoder_attn.heads)
                    for f in _projections(layer.encoder_attn)
                )
                static.update(k=k, v=v)
            y = _attention(layer.encoder_attn, y, static["k"], static["v"], cross[:, :, -1:])
            x = layer.feed_forward(x + layer.cross_attn_ln(y))
        logits = decoder.output_projection(decoder.layer_norm(x))
        return self._mask(logits, tokens), {"attn": [None]}

    def _biases(self, tokens: Tensor, encoder_out: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Of positions to each other (N, H, t, t) and to the encoder's (N, H, t, S).

        As in the original, those of the whole prefix in every step.
        """
        decoder, heads = self.decoder, self.decoder.config.heads
        place = torch.arange(tokens.size(1), device=tokens.device).expand_as(tokens)
        p = decoder.pos_ln(decoder.embed_positions(place))
        query, key = decoder.self_pos_q_linear(p), decoder.self_pos_k_linear(p)
        absolute = _heads(query, heads) @ _heads(key, heads).transpose(2, 3)
        query = decoder.cross_pos_q_linear(p)
        key = decoder.cross_pos_k_linear(encoder_out["positions"])
        cross = _heads(query, heads) @ _heads(key, heads).transpose(2, 3)
        hidden = encoder_out["padding"][:, None, None, :]
        scale = decoder.position_scale
        return absolute * scale, (cross * scale).masked_fill(hidden, -torch.inf)

    def _mask(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """The callback: what the trie allows behind each row's prefix."""
        allowed = torch.zeros_like(logits, dtype=torch.bool)
        for row, prefix in enumerate(tokens[:, 1:].tolist()):
            allowed[row, -1, self.trie.next_tokens(prefix)] = True
        return logits.masked_fill(~allowed, -torch.inf)

    def reorder_incremental_state(self, incremental_state: State, new_order: Tensor) -> None:
        for name, cache in incremental_state.items():
            # As in fairseq, what comes from the encoder moves only when sentences leave the batch.
            if name.startswith("cross") and cache["k"].size(0) == new_order.size(0):
                continue
            for part, value in cache.items():
                cache[part] = value.index_select(0, new_order)

    def max_positions(self) -> int:
        return self.decoder.config.max_target_positions


def stock_generator(
    model: UnifiedTransformer,
    dictionary: Any,
    encoder_out: Any,
    answers: Sequence[Sequence[int]],
    beam: int,
) -> SequenceGenerator:
    """fairseq's generator with its default options but beam, unnormalized scores and max_len_b.

    Its `generate(models, sample, bos_token=0)` takes encoder_out in place of running the encoder.
    """
    decoder = PlainDecoder(dictionary, model, DictionaryTrie(answers))
    plain = FairseqEncoderDecoderModel(GivenEncoder(dictionary, encoder_out), decoder).eval()
    longest = max(map(len, answers))
    return SequenceGenerator(
        [plain], dictionary, beam_size=beam, normalize_scores=False, max_len_a=0, max_len_b=longest
    )


def _projections(attention: MultiheadAttention) -> tuple[Any, Any]:
    return attention.k_proj, attention.v_proj


def _heads(x: Tensor, heads: int) -> Tensor:
    """(N, S, D) -> (N, H, S, h)."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def _attention(
    attention: MultiheadAttention, x: Tensor, k: Tensor, v: Tensor, bias: Tensor
) -> Tensor:
    """(N, T, D) -> (N, T, D): product, bias, softmax, product."""
    query = _heads(attention.q_proj(x), attention.heads) * attention.scale
    weights = F.softmax(query @ k.transpose(-1, -2) + bias, dim=-1)
    context = weights @ v
    if attention.c_attn is not None:
        context = context * attention.c_attn[:, None, None]
    return attention.out_proj(context.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]
