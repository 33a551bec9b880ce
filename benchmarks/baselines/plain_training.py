"""The network and its loss as the original describes them, for training: in plain torch.

Biases are made for every sample and every layer, scores are added to them and normalised by
separate operations, and the loss takes logarithms of the probabilities of the whole vocabulary at
all positions before it picks what counts.  Parameters are named as ours, so that weights load.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.baselines.plain_trunk import PlainTrunk
from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.models import positions
from biomedgpt_fairseq.models.resnet import TRUNKS


class Attention(nn.Module):
    """Queries of one sequence to the keys of another."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.scale = (config.head_dim * config.attn_scale_factor) ** -0.5
        self.c_attn = nn.Parameter(torch.ones(config.heads))
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            self.add_module(name, nn.Linear(config.dim, config.dim))

    def forward(self, x: Tensor, memory: Tensor, bias: Tensor, padding: Tensor | None) -> Tensor:
        """x (B, T, D), memory (B, S, D), bias (B, H, T, S), padding (B, S) -> (B, T, D)."""
        query = split(self.q_proj(x), self.heads) * self.scale
        key, value = split(self.k_proj(memory), self.heads), split(self.v_proj(memory), self.heads)
        scores = query @ key.transpose(2, 3) + bias
        if padding is not None:
            scores = scores.masked_fill(padding[:, None, None], -torch.inf)
        weights = F.softmax(scores, dim=-1, dtype=torch.float32).type_as(scores)
        context = (weights @ value) * self.c_attn[:, None, None]
        return self.out_proj(context.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def split(x: Tensor, heads: int) -> Tensor:
    """(B, T, D) -> (B, H, T, h)."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


class PlainLayer(nn.Module):
    """A layer of the encoder, or of the decoder if it looks at the encoder's output."""

    def __init__(self, config: ModelConfig, decoder: bool) -> None:
        super().__init__()
        dim, wide = config.dim, config.ffn_dim
        self.self_attn = Attention(config)
        self.self_attn_layer_norm = nn.LayerNorm(dim)
        self.own_norm = "self_attn_ln" if decoder else "attn_ln"
        self.add_module(self.own_norm, nn.LayerNorm(dim))
        if decoder:
            self.encoder_attn = Attention(config)
            self.encoder_attn_layer_norm = nn.LayerNorm(dim)
            self.cross_attn_ln = nn.LayerNorm(dim)
        self.fc1, self.fc2 = nn.Linear(dim, wide), nn.Linear(wide, dim)
        self.ffn_layernorm, self.final_layer_norm = nn.LayerNorm(wide), nn.LayerNorm(dim)

    def forward(
        self,
        x: Tensor,
        bias: Tensor,
        padding: Tensor | None,
        memory: Tensor | None = None,
        cross_bias: Tensor | None = None,
    ) -> Tensor:
        y = self.self_attn_layer_norm(x)
        own = padding if memory is None else None
        x = x + self.get_submodule(self.own_norm)(self.self_attn(y, y, bias, own))
        if memory is not None:
            y = self.encoder_attn_layer_norm(x)
            x = x + self.cross_attn_ln(self.encoder_attn(y, memory, cross_bias, padding))
        y = self.fc1(self.final_layer_norm(x))
        y = F.gelu(y.float()).type_as(y)
        return x + self.fc2(self.ffn_layernorm(y))  # type: ignore[no-any-return]


class Stack(nn.Module):
    """What encoder and decoder have alike."""

    def __init__(self, config: ModelConfig, layers: int, places: int, projections: str) -> None:
        super().__init__()
        dim, grid = config.dim, config.image_bucket_size
        self.config = config
        self.register_buffer("version", torch.tensor([3.0]))
        self.embed_tokens = nn.Embedding(config.vocab_size, dim, padding_idx=config.pad)
        self.embed_positions = nn.Embedding(places + 2, dim)
        self.embed_image_positions = nn.Embedding(grid**2 + 1, dim)
        for name in ("layernorm_embedding", "pos_ln", "image_pos_ln", "layer_norm"):
            self.add_module(name, nn.LayerNorm(dim))
        for name in projections.split():
            self.add_module(name, nn.Linear(dim, dim))
        decoder = "cross" in projections
        self.layers = nn.ModuleList(PlainLayer(config, decoder) for _ in range(layers))
        for name, rows in (
            ("token_rel_pos_table_list", positions.num_token_rows(config.token_bucket_size)),
            ("image_rel_pos_table_list", positions.num_image_rows(grid)),
        ):
            tables = (nn.Embedding(rows, config.heads) for _ in range(layers))
            self.add_module(name, nn.ModuleList(tables))
        device = torch.device("cpu")
        tokens = positions.token_buckets(places, config.token_bucket_size, device).long()
        self.register_buffer("token_rp_bucket", tokens, persistent=False)

    def product(self, query: str, key: str, of: Tensor, to: Tensor) -> Tensor:
        """Absolute bias of positions (B, T, D) to positions (B, S, D): (B, H, T, S)."""
        heads = self.config.heads
        scale = (self.config.head_dim * self.config.attn_scale_factor) ** -0.5
        q, k = self.get_submodule(query)(of) * scale, self.get_submodule(key)(to)
        return split(q, heads) @ split(k, heads).transpose(2, 3)

    def relative(self, kind: str, layer: int, buckets: Tensor) -> Tensor:
        """A layer's bias of pairs (B, T, T): (B, H, T, T)."""
        table = self.get_submodule(f"{kind}_rel_pos_table_list.{layer}")
        return table(buckets).permute(0, 3, 1, 2)  # type: ignore[no-any-return]

    def text_buckets(self, tokens: Tensor) -> Tensor:
        """(B, T, T)"""
        length = tokens.size(1)
        return self.token_rp_bucket[:length, :length].expand(len(tokens), -1, -1)  # type: ignore


class PlainEncoder(Stack):
    """Picture and text to one sequence."""

    def __init__(self, config: ModelConfig) -> None:
        places = config.max_source_positions
        super().__init__(config, config.encoder_layers, places, "pos_q_linear pos_k_linear")
        trunk, grid = TRUNKS[config.resnet], config.image_bucket_size
        self.type_embedding = nn.Embedding(2, config.dim)
        self.embed_images = PlainTrunk(trunk)
        self.image_proj = nn.Linear(trunk.out_channels, config.dim)
        self.patch_layernorm_embedding = nn.LayerNorm(config.dim)
        buckets = positions.image_buckets(torch.arange(grid**2 + 1), grid).long()
        self.register_buffer("image_rp_bucket", buckets, persistent=False)

    def forward(self, tokens: Tensor, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Output (B, S, D), padding (B, S), positions (B, S, D)."""
        features = self.embed_images(images)
        batch, _, height, width = features.shape
        kinds = self.type_embedding.weight
        patches = self.image_proj(features.flatten(2).transpose(1, 2)) + kinds[1]
        patches = self.patch_layernorm_embedding(patches)
        text = self.layernorm_embedding(self.embed_tokens(tokens) + kinds[0])
        padding = F.pad(tokens.eq(self.config.pad), (height * width, 0))
        x = torch.cat([patches, text], dim=1) * (1 - padding.unsqueeze(2).type_as(text))
        rows = torch.arange(height)[:, None] * self.config.image_bucket_size
        ids = (rows + torch.arange(width) + 1).flatten().expand(batch, -1)  # (B, P)
        places = torch.arange(tokens.size(1)).expand_as(tokens)
        p = torch.cat(
            [
                self.image_pos_ln(self.embed_image_positions(ids)),
                self.pos_ln(self.embed_positions(places)),
            ],
            dim=1,
        )
        absolute = self.product("pos_q_linear", "pos_k_linear", p, p)
        text_buckets = self.text_buckets(tokens)
        image_buckets = self.image_rp_bucket[ids[:, :, None], ids[:, None]]  # type: ignore
        count = ids.size(1)
        for number, layer in enumerate(self.layers):
            bias = absolute.clone()
            bias[:, :, count:, count:] += self.relative("token", number, text_buckets)
            bias[:, :, :count, :count] += self.relative("image", number, image_buckets)
            x = layer(x, bias, padding)
        return self.layer_norm(x), padding, p


class PlainDecoder(Stack):
    """Logits of text; image codes are left out."""

    def __init__(self, config: ModelConfig) -> None:
        names = "self_pos_q_linear self_pos_k_linear cross_pos_q_linear cross_pos_k_linear"
        super().__init__(config, config.decoder_layers, config.max_target_positions, names)
        self.code_layernorm_embedding = nn.LayerNorm(config.dim)
        self.output_projection = nn.Linear(config.dim, config.vocab_size, bias=False)

    def forward(self, tokens: Tensor, memory: Tensor, padding: Tensor, places: Tensor) -> Tensor:
        """Logits (B, T, V)."""
        length = tokens.size(1)
        x = self.layernorm_embedding(self.embed_tokens(tokens))
        p = self.pos_ln(self.embed_positions(torch.arange(length).expand_as(tokens)))
        future = torch.full((length, length), -torch.inf).triu(1)
        absolute = self.product("self_pos_q_linear", "self_pos_k_linear", p, p)
        cross = self.product("cross_pos_q_linear", "cross_pos_k_linear", p, places)
        buckets = self.text_buckets(tokens)
        for number, layer in enumerate(self.layers):
            bias = absolute + self.relative("token", number, buckets) + future
            x = layer(x, bias, padding, memory, cross)
        return self.output_projection(self.layer_norm(x))  # type: ignore[no-any-return]


class PlainTransformer(nn.Module):
    """The whole network of a configuration with the structural options of released checkpoints."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.encoder, self.decoder = PlainEncoder(config), PlainDecoder(config)
        self.decoder.embed_tokens = self.encoder.embed_tokens
        self.decoder.output_projection.weight = self.encoder.embed_tokens.weight

    def forward(self, src_tokens: Tensor, patch_images: Tensor, prev: Tensor) -> Tensor:
        """Logits (B, T, V)."""
        return self.decoder(prev, *self.encoder(src_tokens, patch_images))  # type: ignore[no-any-return]


def plain_loss(logits: Tensor, target: Tensor, pad: int, epsilon: float) -> Tensor:
    """Label-smoothed sum over the targets (B, T) that are not padding."""
    lprobs = F.log_softmax(logits.float(), dim=-1).flatten(0, 1)
    target = target.flatten()
    counted = target != pad
    lprobs, target = lprobs[counted], target[counted]
    nll = -lprobs.gather(1, target.unsqueeze(1)).squeeze(1)
    share = epsilon / (lprobs.size(1) - 1)
    return ((1 - epsilon - share) * nll - share * lprobs.sum(1)).sum()
