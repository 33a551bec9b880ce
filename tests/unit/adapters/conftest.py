"""A small network to attach to."""

import pytest
import torch

from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.models.transformer import UnifiedTransformer, build_transformer


@pytest.fixture
def model() -> UnifiedTransformer:
    torch.manual_seed(0)
    config = ModelConfig(16, 32, 2, 2, 3, "resnet_micro", vocab_size=30)
    return build_transformer(config).eval()
