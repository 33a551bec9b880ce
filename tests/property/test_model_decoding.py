"""Cached decoding equals decoding the whole prefix."""

from dataclasses import replace
from functools import lru_cache

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from biomedgpt_fairseq.adapters.attach import AdapterOptions, PromptOptions, attach
from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.models.transformer import UnifiedTransformer, build_transformer

CONFIG = ModelConfig(16, 32, 2, 1, 2, "resnet_micro", vocab_size=30, code_image_size=16)


@lru_cache(maxsize=4)
def network(prompted: bool, entangled: bool) -> UnifiedTransformer:
    torch.manual_seed(0)
    model = build_transformer(replace(CONFIG, entangle_decoder=entangled))
    if prompted:
        attach(model, AdapterOptions(4, PromptOptions(3, 8), PromptOptions(2)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model.eval()


@settings(max_examples=40, deadline=None)
@given(
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(1, 3),
    st.integers(1, 3),
    st.lists(st.integers(1, 4), min_size=1, max_size=6),
    st.integers(0, 2**31),
)
def test_cached_steps_equal_the_whole_prefix(
    prompted: bool,
    entangled: bool,
    code: bool,
    batch: int,
    beam: int,
    steps: list[int],
    seed: int,
) -> None:
    model = network(prompted, entangled)
    torch.manual_seed(seed)
    source = torch.randint(2, 30, (batch, 6))
    source[0, 4:] = 1
    net_input = {"src_tokens": source, "patch_images": torch.randn(batch, 3, 32, 16)}
    tokens = torch.randint(2, 30, (batch * beam, sum(steps)))
    masks = torch.full((batch * beam,), True) if code else None
    full = model.forward_decoder(tokens, model.expand(model.encode(net_input), beam), masks)
    state = model.start_decoding(net_input, sum(steps), code)
    model.reorder(state, torch.arange(batch * beam) // beam)
    length = 0
    for new in steps:
        length += new
        logits = model.decode_step(tokens[:, :length], state)
        assert torch.allclose(logits, full[:, length - 1], atol=1e-4)
        order = torch.arange(batch * beam).view(batch, beam).flip(1).flatten()
        model.reorder(state, order)
        tokens, full = tokens[order], full[order]
