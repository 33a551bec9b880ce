"""Puts adapters and prompts into the slots of a network."""

from __future__ import annotations

from dataclasses import dataclass

from biomedgpt_fairseq.adapters.bottleneck import BottleneckAdapter
from biomedgpt_fairseq.adapters.prompt import PrefixPrompt
from biomedgpt_fairseq.models.initial import init_weights
from biomedgpt_fairseq.models.transformer import UnifiedTransformer


@dataclass(frozen=True)
class PromptOptions:
    """length: prefix positions; hidden: width of the projection network, None: no network."""

    length: int = 100
    hidden: int | None = None


@dataclass(frozen=True)
class AdapterOptions:
    """What to attach; None: nothing.  adapter_dim: width of each layer's bottleneck."""

    adapter_dim: int | None = None
    encoder_prompt: PromptOptions | None = None
    decoder_prompt: PromptOptions | None = None

    @property
    def any(self) -> bool:
        return any((self.adapter_dim, self.encoder_prompt, self.decoder_prompt))


def attach(model: UnifiedTransformer, options: AdapterOptions) -> None:
    """Add the modules, with random weights; the parameters of the network keep their names."""
    config, encoder, decoder = model.config, model.encoder, model.decoder
    if options.adapter_dim:
        for layer in [*encoder.layers, *decoder.layers]:
            layer.adapter = BottleneckAdapter(config.dim, options.adapter_dim).apply(init_weights)
    for stack, slot, prompt in (
        (encoder, "encoder_prompt_encoder", options.encoder_prompt),
        (decoder, "decoder_prompt_encoder", options.decoder_prompt),
    ):
        if prompt:
            module = PrefixPrompt(config, len(stack.layers), prompt.length, prompt.hidden)
            setattr(stack, slot, module.apply(init_weights))
