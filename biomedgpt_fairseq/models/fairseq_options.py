# mypy: disable-error-code="valid-type, misc"
"""Model options, with the names and defaults of the original.

Sizes have no default here: unless given, they are those of the architecture in `SIZES`.
"""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from omegaconf import II

from biomedgpt_fairseq.models.resnet import TRUNKS

ACTIVATIONS = ChoiceEnum(["gelu", "relu"])
HEAD_ACTIVATIONS = ChoiceEnum(["tanh", "relu", "gelu"])
HEAD_KINDS = ChoiceEnum(["mlp", "linear"])
INITS = ChoiceEnum(["bert", "width", "mimetic"])
PROMPT_KINDS = ChoiceEnum(["prefix"])
TRUNK_NAMES = ChoiceEnum(list(TRUNKS))

ALWAYS_ON = "always on; accepted for old scripts"


@dataclass
class ModelOptions(FairseqDataclass):
    """Options of every architecture."""

    encoder_embed_dim: Optional[int] = field(default=None, metadata={"help": "model width"})
    decoder_embed_dim: Optional[int] = field(
        default=None, metadata={"help": "model width; the same as the encoder's"}
    )
    encoder_ffn_embed_dim: Optional[int] = field(
        default=None, metadata={"help": "width of feed-forward blocks"}
    )
    decoder_ffn_embed_dim: Optional[int] = field(
        default=None, metadata={"help": "width of feed-forward blocks; the same as the encoder's"}
    )
    encoder_attention_heads: Optional[int] = field(default=None, metadata={"help": "heads"})
    decoder_attention_heads: Optional[int] = field(
        default=None, metadata={"help": "heads; as many as the encoder's"}
    )
    encoder_layers: Optional[int] = field(default=None, metadata={"help": "encoder layers"})
    decoder_layers: Optional[int] = field(default=None, metadata={"help": "decoder layers"})
    resnet_type: Optional[TRUNK_NAMES] = field(default=None, metadata={"help": "image trunk"})

    encoder_normalize_before: bool = field(default=False, metadata={"help": ALWAYS_ON})
    decoder_normalize_before: bool = field(default=False, metadata={"help": ALWAYS_ON})
    encoder_learned_pos: bool = field(default=False, metadata={"help": ALWAYS_ON})
    decoder_learned_pos: bool = field(default=False, metadata={"help": ALWAYS_ON})
    share_decoder_input_output_embed: bool = field(default=False, metadata={"help": ALWAYS_ON})
    share_all_embeddings: bool = field(default=False, metadata={"help": ALWAYS_ON})
    no_scale_embedding: bool = field(default=False, metadata={"help": ALWAYS_ON})
    layernorm_embedding: bool = field(default=False, metadata={"help": ALWAYS_ON})
    patch_layernorm_embedding: bool = field(default=False, metadata={"help": ALWAYS_ON})
    code_layernorm_embedding: bool = field(default=False, metadata={"help": ALWAYS_ON})
    add_type_embedding: bool = field(default=False, metadata={"help": ALWAYS_ON})

    scale_attn: bool = field(default=False, metadata={"help": "layer norm after each attention"})
    scale_fc: bool = field(default=False, metadata={"help": "layer norm in feed-forward blocks"})
    scale_heads: bool = field(default=False, metadata={"help": "learned factor per head"})
    scale_resids: bool = field(
        default=False, metadata={"help": "learned factor on the feed-forward block's residual"}
    )
    disable_entangle: bool = field(
        default=False, metadata={"help": "do not add position vectors to the decoder's content"}
    )
    entangle_position_embedding: bool = field(
        default=False, metadata={"help": "add position vectors to the encoder's content"}
    )
    attn_scale_factor: float = field(
        default=2, metadata={"help": "divides the variance of attention scores"}
    )
    token_bucket_size: int = field(
        default=256, metadata={"help": "range of exact relative text positions"}
    )
    image_bucket_size: int = field(
        default=42, metadata={"help": "patches per side of the largest image with positions"}
    )
    code_image_size: int = field(
        default=128, metadata={"help": "side in pixels of the picture that image codes describe"}
    )
    interpolate_position: bool = field(
        default=False, metadata={"help": "resize learned positions to larger images"}
    )
    activation_fn: ACTIVATIONS = field(
        default="gelu", metadata={"help": "activation of feed-forward blocks"}
    )

    init_weights: Optional[INITS] = field(
        default=None,
        metadata={
            "help": "random initial weights: N(0, 0.02), larger ones by the width, or such ones "
            "which look at like words (default: by width for ofa_micro, else BERT's)"
        },
    )

    dropout: float = field(default=0.0, metadata={"help": "dropout on every block's output"})
    attention_dropout: float = field(default=0.0, metadata={"help": "on attention weights"})
    activation_dropout: float = field(
        default=0.0,
        metadata={"help": "inside feed-forward blocks", "argparse_alias": "--relu-dropout"},
    )
    encoder_drop_path_rate: float = field(
        default=0.0, metadata={"help": "share of samples that skip the last encoder layer"}
    )
    decoder_drop_path_rate: float = field(
        default=0.0, metadata={"help": "share of samples that skip the last decoder layer"}
    )
    resnet_drop_path_rate: float = field(
        default=0.0, metadata={"help": "share of samples that skip a stage's last block"}
    )

    sync_bn: bool = field(
        default=False, metadata={"help": "batch norm over all devices, with eps 1e-3"}
    )
    freeze_resnet: bool = field(
        default=False, metadata={"help": "fixed batch norm; convolutions are trained all the same"}
    )
    resnet_model_path: Optional[str] = field(
        default=None, metadata={"help": "torchvision ResNet weights the image trunk starts from"}
    )
    freeze_encoder_embedding: bool = field(
        default=False, metadata={"help": "keep the token table (shared by encoder and decoder)"}
    )
    freeze_decoder_embedding: bool = field(
        default=False, metadata={"help": "keep the token table (shared by encoder and decoder)"}
    )
    freeze_encoder: bool = field(
        default=False, metadata={"help": "keep the encoder, with the shared token table"}
    )
    freeze_decoder: bool = field(
        default=False, metadata={"help": "keep the decoder, with the shared token table"}
    )
    bitfit: bool = field(default=False, metadata={"help": "train only the transformer's biases"})

    adapter: bool = field(
        default=False, metadata={"help": "train only a small network added to every layer"}
    )
    adapter_dim: int = field(default=200, metadata={"help": "width of these networks"})
    encoder_prompt: bool = field(
        default=False, metadata={"help": "train only prefixes of the encoder's attention"}
    )
    encoder_prompt_type: PROMPT_KINDS = field(default="prefix", metadata={"help": "kind"})
    encoder_prompt_length: int = field(default=100, metadata={"help": "length of the prefix"})
    encoder_prompt_projection: bool = field(
        default=False, metadata={"help": "make the prefix with a small network"}
    )
    encoder_prompt_dim: Optional[int] = field(
        default=None, metadata={"help": "width of this network (default: twice the model's)"}
    )
    decoder_prompt: bool = field(
        default=False, metadata={"help": "train only prefixes of the decoder's self-attention"}
    )
    decoder_prompt_type: PROMPT_KINDS = field(default="prefix", metadata={"help": "kind"})
    decoder_prompt_length: int = field(default=100, metadata={"help": "length of the prefix"})
    decoder_prompt_projection: bool = field(
        default=False, metadata={"help": "make the prefix with a small network"}
    )
    decoder_prompt_dim: Optional[int] = field(
        default=None, metadata={"help": "width of this network (default: twice the model's)"}
    )

    pooler_activation_fn: HEAD_ACTIVATIONS = field(
        default="tanh", metadata={"help": "activation of classification heads"}
    )
    pooler_dropout: float = field(default=0.0, metadata={"help": "dropout of classification heads"})
    pooler_classifier: HEAD_KINDS = field(
        default="mlp", metadata={"help": "form of classification heads"}
    )

    checkpoint_activations: bool = field(
        default=False, metadata={"help": "compute layers twice instead of keeping their insides"}
    )
    compile_layers: bool = field(
        default=False,
        metadata={"help": "torch.compile for the layers; takes minutes at first, for GPUs"},
    )
    min_params_to_wrap: int = field(
        default=100_000_000, metadata={"help": "smallest layer that fully sharded training wraps"}
    )

    grow_vocabulary: bool = field(
        default=False,
        metadata={"help": "give symbols that the loaded file lacks new vectors, at its end"},
    )
    grow_positions: bool = field(
        default=False, metadata={"help": "give positions that the loaded file lacks new vectors"}
    )

    max_source_positions: int = II("task.max_source_positions")
    max_target_positions: int = II("task.max_target_positions")
    orig_patch_image_size: int = II("task.orig_patch_image_size")
