"""The whole network: encoder, decoder, tied output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.models.decoder import Decoder
from biomedgpt_fairseq.models.encoder import Encoder, EncoderOutput
from biomedgpt_fairseq.models.incremental import (
    DecodingState,
    keep_samples,
    reorder_rows,
    start,
    step,
)
from biomedgpt_fairseq.models.initial import attend_to_alike, initialiser
from biomedgpt_fairseq.models.resnet import ResNet, get_trunk
from biomedgpt_fairseq.models.tree import decode_tree

ENCODER_INPUTS = ("src_tokens", "patch_images", "patch_masks", "sample_patch_num")


class UnifiedTransformer(nn.Module):
    """Text and picture in, text, boxes or image codes out; all batch first."""

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    @property
    def config(self) -> ModelConfig:
        return self.decoder.config

    @property
    def max_target_positions(self) -> int:
        """Longest decoder input, bos included."""
        return self.config.max_target_positions

    def forward(
        self,
        src_tokens: Tensor,
        src_lengths: Tensor | None = None,
        prev_output_tokens: Tensor | None = None,
        code_masks: Tensor | None = None,
        features_only: bool = False,
        **inputs: Any,
    ) -> tuple[Tensor, dict[str, Any]]:
        """Logits (B, T, V) and {"inner_states": input and output of each decoder layer}.

        inputs: those of `Encoder.encode`.  src_lengths: not needed, padding tells it.
        features_only: give (B, T, D) instead, whose products with `output_weight` are the logits.
        """
        if prev_output_tokens is None:
            raise ValueError("prev_output_tokens is missing")
        encoder_out = self.encoder.encode(src_tokens, **inputs)
        features, states = self.decoder.decode(prev_output_tokens, encoder_out, code_masks)
        extra = {"inner_states": states}
        return (features if features_only else self.decoder.output_projection(features)), extra

    @property
    def output_weight(self) -> Tensor:
        """The output matrix: (V, D)."""
        return self.decoder.output_projection.weight

    def encode(self, net_input: Mapping[str, Any]) -> EncoderOutput:
        """Run the encoder on the part of a batch's net_input that concerns it."""
        inputs = {k: net_input[k] for k in ENCODER_INPUTS if net_input.get(k) is not None}
        return self.encoder.encode(**inputs)

    def expand(self, encoder_out: EncoderOutput, n: int) -> EncoderOutput:
        """Encoder output for n decoder rows per sample: the same one, which the decoder lets them
        share, so that no key or value is computed twice."""
        return encoder_out

    def forward_decoder(
        self,
        prev_output_tokens: Tensor,
        encoder_out: EncoderOutput,
        code_masks: Tensor | None = None,
    ) -> Tensor:
        """Logits (N, T, V) of decoder inputs (N, T)."""
        features, _ = self.decoder.decode(prev_output_tokens, encoder_out, code_masks)
        return self.decoder.output_projection(features)  # type: ignore[no-any-return]

    def decode_tree(
        self,
        tokens: Tensor,
        position: Tensor,
        visible: Tensor,
        encoder_out: EncoderOutput,
        length: int,
    ) -> Tensor:
        """Features (B, T, D) of many continuations in one row, see `models.tree`."""
        return decode_tree(self.decoder, tokens, position, visible, encoder_out, length)

    def output_rows(self, ids: Tensor) -> Tensor:
        """Rows of the output matrix: (M,) -> (M, D)."""
        return self.output_weight[ids]

    def start_decoding(
        self, net_input: Mapping[str, Any], max_length: int, code_mask: bool = False
    ) -> DecodingState:
        """Run the encoder; state of a row per sample, for up to max_length decoder inputs.

        code_mask: the rows are image codes, not text.
        """
        return start(self.decoder, self.encode(net_input), max_length, code_mask)

    def decode_step(
        self, tokens: Tensor, state: DecodingState, columns: Tensor | None = None
    ) -> Tensor:
        """Logits (N, V), or (N, C) of the ids columns, after whole prefixes (N, t) from bos on."""
        features = step(self.decoder, tokens, state)
        if columns is None:
            return self.decoder.output_projection(features)  # type: ignore[no-any-return]
        return F.linear(features, self.output_rows(columns))

    def reorder(self, state: DecodingState, order: Tensor) -> None:
        """Let row i continue what was row order[i], of the same sample; order: (N',) int64."""
        reorder_rows(state, order)

    def keep_samples(self, state: DecodingState, kept: Tensor) -> None:
        """Drop all samples but kept: (B',) int64."""
        keep_samples(state, kept)


def build_parts(
    config: ModelConfig,
    encoder_class: type[Encoder] = Encoder,
    decoder_class: type[Decoder] = Decoder,
) -> tuple[Encoder, Decoder]:
    """Encoder and decoder with random weights that share their token embedding."""
    embed_tokens = nn.Embedding(config.vocab_size, config.dim, padding_idx=config.pad)
    trunk = ResNet(get_trunk(config.resnet), config.trunk_norm, config.resnet_drop_path)
    encoder = encoder_class(config, embed_tokens, trunk)
    decoder = decoder_class(config, embed_tokens)
    fill = initialiser(config)
    encoder.apply(fill)
    decoder.apply(fill)
    # The output matrix, being the same tensor, has filled the padding row meanwhile.
    fill(embed_tokens)
    if config.init == "mimetic":
        attend_to_alike(encoder)
    return encoder, decoder


def build_transformer(config: ModelConfig) -> UnifiedTransformer:
    """The network with random weights."""
    return UnifiedTransformer(*build_parts(config))


def compile_layers(network: UnifiedTransformer, **options: Any) -> None:
    """Compile the layers where they are, for any length: names of weights stay as they are.

    options: of `torch.compile`.
    """
    for layers in (network.encoder.layers, network.decoder.layers):
        for layer in layers:
            layer.compile(dynamic=True, **options)
