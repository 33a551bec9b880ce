"""Image and text embedding and the encoder stack."""

from __future__ import annotations

from typing import Any, NamedTuple, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from biomedgpt_fairseq.config import PATCH_STRIDE, ModelConfig
from biomedgpt_fairseq.models import positions
from biomedgpt_fairseq.models.attention import KeyValue
from biomedgpt_fairseq.models.bias import Block, LayerBias
from biomedgpt_fairseq.models.drop_path import spaced_rates
from biomedgpt_fairseq.models.layers import EncoderLayer
from biomedgpt_fairseq.models.ops import layer_norm
from biomedgpt_fairseq.models.prefix import NoPrefix, extender, widen, widen_padding

TEXT, IMAGE = 0, 1
"""Rows of the type embedding."""


class EncoderOutput(TypedDict):
    """Positions of the picture first, then those of the text; S is both together."""

    encoder_out: Tensor
    """(B, S, D)"""
    padding_mask: Tensor
    """(B, S) bool, True: padding"""
    positions: Tensor
    """(1 or B, S, D) position vectors after their layer norms; 1 when all samples have the same"""
    states: list[Tensor]
    """Input of the first layer and output of each, (B, S, D) each; empty unless asked for."""


class Patches(NamedTuple):
    """Image tokens.  content (B, P, D); vectors (1 or B, P, D) positions before their layer norm;
    buckets (P, P) or (B, P, P) rows of the image tables; padding (B, P) bool."""

    content: Tensor
    vectors: Tensor
    buckets: Tensor
    padding: Tensor


class Encoder(nn.Module):
    """Picture and text -> one sequence of vectors."""

    version: Tensor

    def __init__(self, config: ModelConfig, embed_tokens: nn.Embedding, trunk: nn.Module) -> None:
        super().__init__()
        dim, grid = config.dim, config.image_bucket_size
        self.config = config
        self.register_buffer("version", torch.tensor([3.0]))
        self.embed_tokens = embed_tokens
        self.layernorm_embedding = layer_norm(dim)
        self.type_embedding = nn.Embedding(2, dim)
        self.embed_images = trunk
        self.image_proj = nn.Linear(trunk.out_channels, dim)  # type: ignore[arg-type]
        self.patch_layernorm_embedding = layer_norm(dim)
        self.embed_positions = nn.Embedding(config.max_source_positions + 2, dim)
        self.embed_image_positions = nn.Embedding(grid**2 + 1, dim)
        self.pos_ln = layer_norm(dim)
        self.image_pos_ln = layer_norm(dim)
        self.pos_q_linear = nn.Linear(dim, dim)
        self.pos_k_linear = nn.Linear(dim, dim)
        rates = spaced_rates(config.encoder_drop_path, config.encoder_layers)
        self.layers = nn.ModuleList(EncoderLayer(config, rate) for rate in rates)
        self.layer_norm = layer_norm(dim)
        rows = positions.num_token_rows(config.token_bucket_size)
        self.token_rel_pos_table_list = nn.ModuleList(
            nn.Embedding(rows, config.heads) for _ in rates
        )
        rows = positions.num_image_rows(grid)
        self.image_rel_pos_table_list = nn.ModuleList(
            nn.Embedding(rows, config.heads) for _ in rates
        )
        self.encoder_prompt_encoder: nn.Module = NoPrefix(config.encoder_layers)
        self.dropout = nn.Dropout(config.dropout)
        self.position_scale = positions.position_scale(config.head_dim, config.attn_scale_factor)

    def forward(self, src_tokens: Tensor, **inputs: Any) -> Any:
        """See `encode`; a subclass may give the result another shape."""
        return self.encode(src_tokens, **inputs)

    def encode(
        self,
        src_tokens: Tensor,
        patch_images: Tensor | None = None,
        patch_masks: Tensor | None = None,
        sample_patch_num: int | None = None,
        return_all_hiddens: bool = False,
    ) -> EncoderOutput:
        """Encode text (B, T) and, if given, pictures (B, 3, R, R).

        patch_masks: (B,) bool, False where the picture is a stand-in: its tokens are padding.
        sample_patch_num: how many patches of each picture to draw at random; None: all.
        """
        padding = src_tokens.eq(self.config.pad)
        x, vectors = self.embed_text(src_tokens)
        p = self.pos_ln(vectors)  # (1, T, D)
        patches = None
        if patch_images is not None:
            patches = self.embed_patches(patch_images, patch_masks, sample_patch_num)
            x = torch.cat([patches.content, x], dim=1)  # (B, P+T, D)
            padding = torch.cat([patches.padding, padding], dim=1)
            image_p = self.image_pos_ln(patches.vectors)
            p = torch.cat([image_p, p.expand(image_p.size(0), -1, -1)], dim=1)
        x = x.masked_fill(padding.unsqueeze(-1), 0)
        x, states = self._run_layers(x, p, padding, patches, return_all_hiddens)
        return EncoderOutput(
            encoder_out=self.layer_norm(x), padding_mask=padding, positions=p, states=states
        )

    def embed_text(self, src_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Text tokens (B, T, D) and their position vectors (1, T, D)."""
        length, longest = src_tokens.size(1), self.config.max_source_positions
        if length > longest:
            raise ValueError(
                f"a source of {length} tokens exceeds the {longest} positions; "
                "shorten it or raise --max-source-positions"
            )
        vectors = self.embed_positions.weight[:length].unsqueeze(0)
        x = self.embed_tokens(src_tokens)
        if self.config.entangle_encoder:
            x = x + vectors
        x = self.layernorm_embedding(x + self.type_embedding.weight[TEXT])
        return self.dropout(x), vectors

    def embed_patches(
        self, images: Tensor, masks: Tensor | None, sample_patch_num: int | None
    ) -> Patches:
        """Image tokens of pictures (B, 3, R, R)."""
        features = self.embed_images(images)  # (B, C, h, w)
        batch, _, height, width = features.shape
        x = features.flatten(2).transpose(1, 2)  # (B, P, C)
        grid, device = self.config.image_bucket_size, x.device
        ids = positions.patch_ids(height, width, grid, device)
        vectors = self._patch_vectors(ids, height, width)
        buckets = positions.patch_buckets(height, width, grid, device)
        if sample_patch_num is not None:
            # Vectors are drawn after resizing them, so both options work together.
            drawn = draw_patches(batch, len(ids), sample_patch_num, device)  # (B, n)
            x = x.gather(1, drawn.unsqueeze(-1).expand(-1, -1, x.size(2)))
            vectors = vectors[0][drawn]
            buckets = positions.image_buckets(ids[drawn], grid)
        x = self.image_proj(x)
        if self.config.entangle_encoder:
            x = x + vectors
        x = self.patch_layernorm_embedding(x + self.type_embedding.weight[IMAGE])
        padding = torch.zeros(x.shape[:2], dtype=torch.bool, device=device)
        if masks is not None:
            padding = ~masks.unsqueeze(1).expand(-1, x.size(1))
        return Patches(self.dropout(x), vectors, buckets, padding)

    def _patch_vectors(self, ids: Tensor, height: int, width: int) -> Tensor:
        """(1, P, D)"""
        config = self.config
        side = config.orig_patch_image_size // PATCH_STRIDE
        table = self.embed_image_positions.weight
        if config.interpolate_position and height * width > side**2:
            return positions.interpolated_positions(
                table, config.image_bucket_size, side, height, width
            )
        return F.embedding(ids, table).unsqueeze(0)

    def _run_layers(
        self, x: Tensor, p: Tensor, padding: Tensor, patches: Patches | None, keep_states: bool
    ) -> tuple[Tensor, list[Tensor]]:
        heads = self.config.heads
        query = positions.split_heads(self.pos_q_linear(p), heads)
        key = positions.split_heads(self.pos_k_linear(p), heads)
        prompt = self.encoder_prompt_encoder
        bias = positions.absolute_bias(query, key, self.position_scale)
        bias = widen(bias, prompt.length)  # type: ignore[arg-type]
        padding = widen_padding(padding, prompt.length)  # type: ignore[arg-type]
        states = [x] if keep_states else []
        for index, prefix in enumerate(prompt(x.size(0))):
            if self.config.checkpoint_activations and torch.is_grad_enabled():
                x = checkpoint(
                    self._run_layer, index, x, bias, padding, patches, prefix, use_reentrant=False
                )
            else:
                x = self._run_layer(index, x, bias, padding, patches, prefix)
            if keep_states:
                states.append(x)
        return x, states

    def _run_layer(
        self,
        index: int,
        x: Tensor,
        bias: Tensor,
        padding: Tensor,
        patches: Patches | None,
        prefix: KeyValue | None,
    ) -> Tensor:
        layer_bias = self._layer_bias(index, bias, x.size(1), patches)
        return self.layers[index](x, layer_bias, padding, extender(prefix))  # type: ignore[no-any-return]

    def _layer_bias(
        self, index: int, bias: Tensor, length: int, patches: Patches | None
    ) -> LayerBias:
        """Absolute bias (1 or B, H, S, n+S) with this layer's tables, which tell nothing about
        text-to-image pairs."""
        count = 0 if patches is None else patches.content.size(1)
        start = bias.size(3) - length
        buckets = positions.token_buckets(
            length - count, self.config.token_bucket_size, bias.device
        )
        table: Any = self.token_rel_pos_table_list[index].weight
        blocks = [Block(table, buckets, count, start + count)]
        if patches is not None:
            table = self.image_rel_pos_table_list[index].weight
            blocks.append(Block(table, patches.buckets, 0, start))
        return LayerBias(bias, tuple(blocks))


def draw_patches(batch: int, available: int, wanted: int, device: torch.device) -> Tensor:
    """Distinct patch indices per sample, in random order: (B, wanted) int64.

    Drawn from torch's generator, which the trainer seeds at every update.
    Raises ValueError if more are wanted than available.
    """
    if wanted > available:
        raise ValueError(
            f"--sample-patch-num {wanted} exceeds the {available} patches of the picture"
        )
    return torch.rand(batch, available, device=device).argsort(dim=1)[:, :wanted]
