"""Decoding of a tree: many continuations of one decoder input in one pass.

A row holds a prompt and the nodes of a tree behind it; each node sees the prompt, the nodes above
it and itself, so that its features are those of the path that ends in it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from biomedgpt_fairseq.models import positions
from biomedgpt_fairseq.models.attention import Cross
from biomedgpt_fairseq.models.decoder import Decoder
from biomedgpt_fairseq.models.encoder import EncoderOutput
from biomedgpt_fairseq.models.prefix import extender, widen


@torch.no_grad()
def decode_tree(
    decoder: Decoder,
    tokens: Tensor,
    position: Tensor,
    visible: Tensor,
    encoder_out: EncoderOutput,
    length: int,
) -> Tensor:
    """Features (B, T, D) before the output matrix.

    tokens: (B, T) in any order.  position: (B, T), 0 for bos, all below length.
    visible: (B, T, T) bool, True where a query (second) sees a key (third); itself at least.
    """
    keys = decoder.position_keys(length, code=False)
    # (1, H, L, h) -> (B, H, T, h): each token's own position
    self_query, self_key, cross_query = (part[0][:, position].transpose(0, 1) for part in keys)
    bias = decoder.absolute_self_bias(self_query, self_key)
    bias = bias.masked_fill(~visible.unsqueeze(1), -torch.inf)  # (B, H, T, T)
    cross_key = decoder.cross_position_keys(encoder_out["positions"])
    cross_bias = decoder.cross_bias(cross_query, cross_key, encoder_out["padding_mask"])
    buckets = decoder.buckets(length, False, tokens.device)
    buckets = buckets[position.unsqueeze(2), position.unsqueeze(1)]  # (B, T, T)
    prompt = decoder.decoder_prompt_encoder
    x = decoder.embed_tokens(tokens)
    if decoder.config.entangle_decoder:
        x = x + decoder.position_vectors(0, length, code=False)[0][position]
    x = decoder.layernorm_embedding(x)
    for index, prefix in enumerate(prompt(x.size(0))):
        layer = decoder.layers[index]
        table = decoder.token_rel_pos_table_list[index].weight
        relative = positions.relative_bias(table, buckets)  # type: ignore[arg-type]
        keys_values = layer.encoder_attn.keys_values(encoder_out["encoder_out"])  # type: ignore[operator, union-attr]
        whole = widen(bias + relative, prompt.length)  # type: ignore[arg-type]
        x = layer(x, whole, Cross(keys_values, cross_bias), extender(prefix))
    return decoder.layer_norm(x)  # type: ignore[no-any-return]
