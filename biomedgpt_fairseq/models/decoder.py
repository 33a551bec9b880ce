"""The decoder stack; whole sequences here, step by step in `incremental.py`."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.models import positions
from biomedgpt_fairseq.models.attention import Cross, KeyValue
from biomedgpt_fairseq.models.bias import Block, LayerBias
from biomedgpt_fairseq.models.drop_path import spaced_rates
from biomedgpt_fairseq.models.encoder import EncoderOutput
from biomedgpt_fairseq.models.layers import DecoderLayer
from biomedgpt_fairseq.models.ops import layer_norm
from biomedgpt_fairseq.models.prefix import NoPrefix, extender, widen


class PositionKeys(NamedTuple):
    """Projected position vectors of a decoder input, (1, H, T, h) each."""

    self_query: Tensor
    self_key: Tensor
    cross_query: Tensor


class Decoder(nn.Module):
    """Decoder input and encoder output -> features and logits."""

    version: Tensor

    def __init__(self, config: ModelConfig, embed_tokens: nn.Embedding) -> None:
        super().__init__()
        dim, grid = config.dim, config.image_bucket_size
        self.config = config
        self.register_buffer("version", torch.tensor([3.0]))
        self.embed_tokens = embed_tokens
        self.layernorm_embedding = layer_norm(dim)
        self.embed_positions = nn.Embedding(config.max_target_positions + 2, dim)
        self.embed_image_positions = nn.Embedding(grid**2 + 1, dim)
        self.pos_ln = layer_norm(dim)
        self.image_pos_ln = layer_norm(dim)
        self.self_pos_q_linear = nn.Linear(dim, dim)
        self.self_pos_k_linear = nn.Linear(dim, dim)
        self.cross_pos_q_linear = nn.Linear(dim, dim)
        self.cross_pos_k_linear = nn.Linear(dim, dim)
        self.code_layernorm_embedding = layer_norm(dim)
        rates = spaced_rates(config.decoder_drop_path, config.decoder_layers)
        self.layers = nn.ModuleList(DecoderLayer(config, rate) for rate in rates)
        self.layer_norm = layer_norm(dim)
        self.output_projection = nn.Linear(dim, config.vocab_size, bias=False)
        self.output_projection.weight = embed_tokens.weight
        rows = positions.num_token_rows(config.token_bucket_size)
        self.token_rel_pos_table_list = nn.ModuleList(
            nn.Embedding(rows, config.heads) for _ in rates
        )
        rows = positions.num_image_rows(grid)
        self.image_rel_pos_table_list = nn.ModuleList(
            nn.Embedding(rows, config.heads) for _ in rates
        )
        self.decoder_prompt_encoder: nn.Module = NoPrefix(config.decoder_layers)
        self.dropout = nn.Dropout(config.dropout)
        self.position_scale = positions.position_scale(config.head_dim, config.attn_scale_factor)

    def forward(self, prev_output_tokens: Tensor, **inputs: Any) -> Any:
        """See `decode`; a subclass may give the result another shape."""
        return self.decode(prev_output_tokens, **inputs)

    def decode(
        self,
        prev_output_tokens: Tensor,
        encoder_out: EncoderOutput,
        code_masks: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Features (N, T, D) before the output matrix, and the input and output of each layer.

        The encoder's B samples may be fewer: then each serves N / B adjacent rows.

        prev_output_tokens: (N, T), padded at the end: the causal mask then hides all padding.
        code_masks: (N,) bool, True for rows of image codes, which have positions in a picture.
        """
        length = prev_output_tokens.size(1)
        device = prev_output_tokens.device
        kinds = self._kinds(code_masks)
        keys = [self.position_keys(length, code) for code in kinds]
        x = self._by_kind([self.embed(prev_output_tokens, 0, code) for code in kinds], code_masks)
        prompt = self.decoder_prompt_encoder
        future = torch.ones(length, length, dtype=torch.bool, device=device).triu(1)
        biases = [
            self.absolute_self_bias(k.self_query, k.self_key).masked_fill(future, -torch.inf)
            for k in keys
        ]
        bias = widen(self._by_kind(biases, code_masks), prompt.length)  # type: ignore[arg-type]
        cross = self._cross(keys, encoder_out, code_masks)
        states = [x]
        for index, prefix in enumerate(prompt(x.size(0))):
            run = (index, x, bias, cross, code_masks, prefix)
            if self.config.checkpoint_activations and torch.is_grad_enabled():
                x = checkpoint(self._run_layer, *run, use_reentrant=False)
            else:
                x = self._run_layer(*run)
            states.append(x)
        return self.layer_norm(x), states

    def _cross(
        self, keys: list[PositionKeys], encoder_out: EncoderOutput, code_masks: Tensor | None
    ) -> Cross:
        """What all layers look at."""
        cross_key = self.cross_position_keys(encoder_out["positions"])
        hidden = encoder_out["padding_mask"]
        if code_masks is not None:
            # Rows of one sample may then differ, so each needs a cross bias of its own.
            shared = len(code_masks) // len(hidden)
            hidden = hidden.repeat_interleave(shared, dim=0)
            if len(cross_key) > 1:
                cross_key = cross_key.repeat_interleave(shared, dim=0)
        biases = [self.cross_bias(k.cross_query, cross_key, hidden) for k in keys]
        return Cross(encoder_out["encoder_out"], self._by_kind(biases, code_masks))

    def _run_layer(
        self,
        index: int,
        x: Tensor,
        bias: Tensor,
        cross: Cross,
        code_masks: Tensor | None,
        prefix: KeyValue | None,
    ) -> Tensor:
        layer, length = self.layers[index], x.size(1)
        start = bias.size(3) - length
        if code_masks is None:
            block = Block(*self._table(index, False, length, x.device), 0, start)
            return layer(x, LayerBias(bias, (block,)), cross, extender(prefix))  # type: ignore[no-any-return]
        relative = self._by_kind(
            [
                positions.relative_bias(*self._table(index, code, length, x.device))
                for code in self._kinds(code_masks)
            ],
            code_masks,
        )
        bias = bias + widen(relative, start)
        return layer(x, bias, cross, extender(prefix))  # type: ignore[no-any-return]

    # Text and image codes differ in their positions and in one layer norm.

    @staticmethod
    def _kinds(code_masks: Tensor | None) -> tuple[bool, ...]:
        """Whether to treat the rows as codes; both ways if they are mixed."""
        return (False,) if code_masks is None else (False, True)

    @staticmethod
    def _by_kind(kinds: list[Tensor], code_masks: Tensor | None) -> Tensor:
        """Text form for text rows, code form for code rows."""
        if code_masks is None:
            return kinds[0]
        text, code = kinds
        return torch.where(code_masks.view((-1,) + (1,) * (text.dim() - 1)), code, text)

    def _table(
        self, index: int, code: bool, length: int, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """A layer's table of relative positions and the (length, length) rows to take from it."""
        tables = self.image_rel_pos_table_list if code else self.token_rel_pos_table_list
        return tables[index].weight, self.buckets(length, code, device)  # type: ignore[return-value]

    def buckets(self, length: int, code: bool, device: torch.device) -> Tensor:
        """Rows of the relative tables for each pair of positions: (length, length) int32."""
        config = self.config
        if code:
            return positions.code_buckets(
                length, config.code_image_size, config.image_bucket_size, device
            )
        return positions.token_buckets(length, config.token_bucket_size, device)

    def position_vectors(self, start: int, end: int, code: bool) -> Tensor:
        """Vectors of positions start .. end - 1: (1, end - start, D)."""
        config = self.config
        if end > config.max_target_positions:
            raise ValueError(
                f"a target of {end} tokens exceeds the {config.max_target_positions} positions; "
                "shorten it or raise --max-target-positions"
            )
        if not code:
            return self.embed_positions.weight[start:end].unsqueeze(0)
        table = self.embed_image_positions
        ids = positions.code_ids(
            end, config.code_image_size, config.image_bucket_size, table.weight.device
        )
        return table(ids[start:]).unsqueeze(0)  # type: ignore[no-any-return]

    def embed(self, tokens: Tensor, start: int, code: bool) -> Tensor:
        """Tokens (N, t) at positions start .. start + t - 1 -> (N, t, D)."""
        x = self.embed_tokens(tokens)
        if self.config.entangle_decoder:
            x = x + self.position_vectors(start, start + tokens.size(1), code)
        norm = self.code_layernorm_embedding if code else self.layernorm_embedding
        return self.dropout(norm(x))  # type: ignore[no-any-return]

    def position_keys(self, length: int, code: bool) -> PositionKeys:
        """What the biases of positions 0 .. length - 1 are products of."""
        norm = self.image_pos_ln if code else self.pos_ln
        p = norm(self.position_vectors(0, length, code))
        linears = self.self_pos_q_linear, self.self_pos_k_linear, self.cross_pos_q_linear
        return PositionKeys(*(positions.split_heads(f(p), self.config.heads) for f in linears))

    def cross_position_keys(self, p: Tensor) -> Tensor:
        """Encoder positions (1 or B, S, D) -> (1 or B, H, S, h)."""
        return positions.split_heads(self.cross_pos_k_linear(p), self.config.heads)

    def absolute_self_bias(self, query: Tensor, key: Tensor) -> Tensor:
        """(1, H, t, h), (1, H, T, h) -> (1, H, t, T)."""
        return positions.absolute_bias(query, key, self.position_scale)

    def cross_bias(self, query: Tensor, key: Tensor, padding: Tensor) -> Tensor:
        """(1, H, t, h), (1 or B, H, S, h), (B, S) bool -> (B, H, t, S); the same in all layers."""
        bias = positions.absolute_bias(query, key, self.position_scale)
        return bias.masked_fill(padding[:, None, None, :], -torch.inf)
