"""Sizes and other fixed facts of the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

TrunkNorm = Literal["batch", "sync", "frozen"]
Init = Literal["bert", "width", "mimetic"]
PATCH_STRIDE = 16
"""Pixels per image token along each side."""

# Files from elsewhere state sizes, too: what no network has is refused before it is built.
MAX_SIZE, MAX_DEPTH = 1 << 20, 1000
_SIZES = (
    *("dim", "ffn_dim", "heads", "vocab_size", "max_source_positions", "max_target_positions"),
    *("token_bucket_size", "image_bucket_size", "code_image_size"),
)
_DEPTHS = ("encoder_layers", "decoder_layers")


@dataclass(frozen=True)
class ModelConfig:
    """Everything the network is built from; the defaults are those of released checkpoints."""

    dim: int
    ffn_dim: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    resnet: str = "resnet50"
    """Row of `models.resnet.TRUNKS`."""

    vocab_size: int = 59457
    pad: int = 1
    max_source_positions: int = 1024
    max_target_positions: int = 1024
    token_bucket_size: int = 256
    """Distances up to half of it have a bias of their own; longer ones share logarithmic bins."""
    image_bucket_size: int = 42
    """Side, in patches, of the largest image that has positions."""
    code_image_size: int = 128
    """Side in pixels of the picture that image codes describe; one code per 8 x 8 pixels."""
    orig_patch_image_size: int = 256
    interpolate_position: bool = False
    """Resize the learned positions of an orig_patch_image_size picture to larger pictures."""

    attn_scale_factor: float = 2.0
    scale_attn: bool = True
    """Layer norm after each attention."""
    scale_fc: bool = True
    """Layer norm inside each feed-forward block."""
    scale_heads: bool = True
    """Learned factor per attention head."""
    scale_resids: bool = False
    """Learned factor per channel on the residual around each feed-forward block."""
    entangle_encoder: bool = False
    """Add position vectors to the encoder's content, not only to attention biases."""
    entangle_decoder: bool = False
    activation: Literal["gelu", "relu"] = "gelu"

    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    encoder_drop_path: float = 0.0
    decoder_drop_path: float = 0.0
    resnet_drop_path: float = 0.0
    trunk_norm: TrunkNorm = "batch"
    checkpoint_activations: bool = False

    init: Init = field(default="bert", compare=False)
    """Random initial weights: of BERT's size, 0.02; of one that depends on the width; or besides
    with keys that find what is like the query, see `models.initial`.
    Networks that differ only in it are the same, once they have weights."""

    def __post_init__(self) -> None:
        for names, largest in ((_SIZES, MAX_SIZE), (_DEPTHS, MAX_DEPTH)):
            for name in names:
                value = getattr(self, name)
                if type(value) is not int or not 0 < value <= largest:
                    raise ValueError(
                        f"{name} must be a whole number from 1 to {largest}, found {value!r:.40}"
                    )
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is not a multiple of heads {self.heads}")

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads


SIZES: dict[str, ModelConfig] = {
    # For a compact vocabulary of about 2,000 symbols: trains on a CPU in minutes. With weights of
    # 0.02, attention of this width stays uniform for thousands of updates.
    "micro": ModelConfig(64, 256, 4, 2, 2, "resnet_micro", init="width"),
    "tiny": ModelConfig(256, 1024, 4, 4, 4, "resnet50"),
    "medium": ModelConfig(512, 2048, 8, 4, 4, "resnet101"),
    "base": ModelConfig(768, 3072, 12, 6, 6, "resnet101"),
    "large": ModelConfig(1024, 4096, 16, 12, 12, "resnet152"),
    "huge": ModelConfig(1280, 5120, 16, 24, 12, "resnet152"),
}
