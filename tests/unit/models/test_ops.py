from torch import nn

from biomedgpt_fairseq.models.layers import EncoderLayer
from biomedgpt_fairseq.models.ops import layer_norm, use_layer_norm


class OtherNorm(nn.LayerNorm):
    """Stands for a fused kind."""


def test_layer_norm_has_the_eps_of_checkpoints() -> None:
    assert layer_norm(4).eps == 1e-5


def test_override_serves_inside_its_block_only(config) -> None:
    with use_layer_norm(OtherNorm):
        layer = EncoderLayer(config, 0.0)
    norms = [m for m in layer.modules() if isinstance(m, nn.LayerNorm)]
    assert len(norms) == 4
    assert all(type(norm) is OtherNorm for norm in norms)
    assert type(layer_norm(4)) is not OtherNorm
