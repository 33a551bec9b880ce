"""A small network for the tests of its parts."""

from dataclasses import replace

import pytest
import torch

from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.models.transformer import UnifiedTransformer, build_transformer


@pytest.fixture
def config() -> ModelConfig:
    return ModelConfig(
        dim=16,
        ffn_dim=32,
        heads=2,
        encoder_layers=2,
        decoder_layers=2,
        resnet="resnet_micro",
        vocab_size=40,
        max_source_positions=30,
        max_target_positions=280,
    )


@pytest.fixture
def build():
    """Builds a network in evaluation mode with weights large enough to tell positions apart."""

    def build_network(config: ModelConfig, **changes: object) -> UnifiedTransformer:
        torch.manual_seed(0)
        model = build_transformer(replace(config, **changes))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
        return model.eval()

    return build_network
