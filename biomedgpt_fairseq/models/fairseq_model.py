"""The network as fairseq's model `ofa`, and its architectures."""

import argparse
import logging
from typing import Any, Dict, Mapping, Optional, Tuple

import torch
from fairseq.distributed import fsdp_wrap
from fairseq.models import (
    BaseFairseqModel,
    register_model,
    register_model_architecture,
)
from omegaconf import OmegaConf
from torch import Tensor, nn

from biomedgpt_fairseq.adapters.attach import AdapterOptions, PromptOptions, attach
from biomedgpt_fairseq.adapters.freezing import FreezeOptions, freeze
from biomedgpt_fairseq.adapters.heads import ClassificationHead, HeadOptions, last_features
from biomedgpt_fairseq.config import SIZES
from biomedgpt_fairseq.models.checkpoint import (
    grow_positions,
    grow_vocabulary,
    load_trunk,
    load_weights,
)
from biomedgpt_fairseq.models.encoder import Encoder
from biomedgpt_fairseq.models.fairseq_options import ModelOptions
from biomedgpt_fairseq.models.initial import init_weights
from biomedgpt_fairseq.models.saved_config import SIZE_OPTIONS, config_from_options
from biomedgpt_fairseq.models.transformer import UnifiedTransformer, build_parts, compile_layers

logger = logging.getLogger(__name__)


class FairseqShapedEncoder(Encoder):
    """The encoder whose call gives what fairseq's programs expect: time before batch."""

    def forward(
        self, src_tokens: Tensor, src_lengths: Optional[Tensor] = None, **inputs: Any
    ) -> Dict[str, Any]:
        """encoder_out (S, B, D), encoder_padding_mask (B, S), position_embeddings (B, S, D), and
        encoder_states (S, B, D) with return_all_hiddens; one-element lists but for the last."""
        out = self.encode(src_tokens, **inputs)
        batch = src_tokens.size(0)
        return {
            "encoder_out": [out["encoder_out"].transpose(0, 1)],
            "encoder_padding_mask": [out["padding_mask"]],
            "position_embeddings": [out["positions"].expand(batch, -1, -1)],
            "encoder_states": [state.transpose(0, 1) for state in out["states"]],
        }

    def max_positions(self) -> int:
        return self.config.max_source_positions


@register_model("unify_transformer", dataclass=ModelOptions)
class UnifyTransformerModel(UnifiedTransformer, BaseFairseqModel):  # type: ignore[misc]
    """The network with fairseq's interface; `ofa` is the name that checkpoints have."""

    def __init__(self, *parts: Any, options: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(*parts)
        self._is_generation_fast = False
        self.options = dict(options or {})
        self.classification_heads = nn.ModuleDict()

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "UnifyTransformerModel":
        """The network of the options, for the vocabulary of the task."""
        dictionary = task.source_dictionary
        return cls.from_options(plain_options(cfg), len(dictionary), dictionary.pad())

    @classmethod
    def from_options(
        cls, options: Mapping[str, Any], vocab_size: int, pad: int = 1
    ) -> "UnifyTransformerModel":
        """The network of flat options, a checkpoint's among them; unknown ones have no effect."""
        ignored = sorted(options.keys() - ModelOptions.__dataclass_fields__.keys() - {"arch"})
        if ignored:
            logger.info("options without effect on the network: %s", ", ".join(ignored))
        config = config_from_options(options, vocab_size, pad)
        model = cls(*build_parts(config, FairseqShapedEncoder), options=options)
        attach(model, adapter_options(options, config.dim))
        if options.get("resnet_model_path"):
            load_trunk(model.encoder.embed_images, options["resnet_model_path"])
        freeze(model, freeze_options(options))
        if options.get("compile_layers"):
            compile_layers(model)
        wrap_layers(model, options.get("min_params_to_wrap") or 0)
        return model

    def forward(  # type: ignore[override]
        self,
        src_tokens: Tensor,
        src_lengths: Optional[Tensor] = None,
        prev_output_tokens: Optional[Tensor] = None,
        classification_head_name: Optional[str] = None,
        **inputs: Any,
    ) -> Tuple[Tensor, Dict[str, Any]]:
        """Logits (B, T, V), or (B, classes) of a head, and {"inner_states": (T, B, D) each};
        features (B, T, D) instead of logits with features_only."""
        if classification_head_name is not None:
            return self._classify(classification_head_name, src_tokens, prev_output_tokens, inputs)
        logits, extra = super().forward(src_tokens, src_lengths, prev_output_tokens, **inputs)
        states = [state.transpose(0, 1) for state in extra["inner_states"]]
        return logits, {"inner_states": states}

    def _classify(
        self, name: str, src_tokens: Tensor, prev: Optional[Tensor], inputs: Dict[str, Any]
    ) -> Tuple[Tensor, Dict[str, Any]]:
        if name not in self.classification_heads:
            known = ", ".join(self.classification_heads) or "none"
            raise ValueError(f"no classification head is called {name!r}; known: {known}")
        if prev is None:
            raise ValueError("prev_output_tokens is missing")
        code_masks = inputs.pop("code_masks", None)
        encoder_out = self.encoder.encode(src_tokens, **inputs)
        features, _ = self.decoder.decode(prev, encoder_out, code_masks)
        pooled = last_features(features, prev, self.config.pad)
        return self.classification_heads[name](pooled), {}

    def register_classification_head(
        self, name: str, num_classes: int, inner_dim: Optional[int] = None
    ) -> None:
        """Add a head, of the form that the pooler options say."""
        if name in self.classification_heads:
            raise ValueError(f"there is a classification head {name!r} already")
        options = HeadOptions(
            num_classes,
            inner_dim,
            self.options.get("pooler_classifier") or "mlp",
            self.options.get("pooler_activation_fn") or "tanh",
            self.options.get("pooler_dropout") or 0.0,
        )
        head = ClassificationHead(self.config.dim, options).apply(init_weights)
        self.classification_heads[name] = head.to(self.encoder.type_embedding.weight)

    def get_normalized_probs(
        self, net_output: Tuple[Tensor, Any], log_probs: bool, sample: Any = None
    ) -> Tensor:
        """Softmax of the logits in float32 (float64 for a float64 network)."""
        logits = net_output[0]
        logits = logits if logits.dtype == torch.float64 else logits.float()
        return torch.log_softmax(logits, -1) if log_probs else torch.softmax(logits, -1)

    def max_positions(self) -> Tuple[int, int]:
        return self.config.max_source_positions, self.config.max_target_positions

    def max_decoder_positions(self) -> int:
        return self.config.max_target_positions

    def load_state_dict(
        self,
        state_dict: Mapping[str, Tensor],
        strict: bool = True,
        model_cfg: Any = None,
        args: Any = None,
    ) -> Any:
        """Load own or released weights (see `checkpoint.py`).

        Raises ValueError that lists what does not fit, unless strict is False.
        """
        state_dict = self._with_asked_growth(state_dict)
        if not strict:  # so fairseq restores the average of weights
            return nn.Module.load_state_dict(self, state_dict, strict=False)
        return load_weights(self, state_dict)

    def _with_asked_growth(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        if self.options.get("grow_vocabulary"):
            state = grow_vocabulary(state, self.config.vocab_size)
        if self.options.get("grow_positions"):
            state = grow_positions(state, "encoder", self.config.max_source_positions)
            state = grow_positions(state, "decoder", self.config.max_target_positions)
        return state


@register_model("ofa", dataclass=ModelOptions)
class OfaModel(UnifyTransformerModel):
    """The model of all architectures."""


def plain_options(cfg: Any) -> Dict[str, Any]:
    """Flat dictionary of options from fairseq's configuration in any of its forms."""
    if isinstance(cfg, argparse.Namespace):
        return dict(vars(cfg))
    if OmegaConf.is_config(cfg):
        options: Any = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
        return dict(options)
    return {name: getattr(cfg, name) for name in cfg.__dataclass_fields__}


def adapter_options(options: Mapping[str, Any], dim: int) -> AdapterOptions:
    """What to attach to a network of this width."""

    def prompt(stack: str) -> Optional[PromptOptions]:
        if not options.get(f"{stack}_prompt"):
            return None
        hidden = None
        if options.get(f"{stack}_prompt_projection"):
            hidden = options.get(f"{stack}_prompt_dim") or 2 * dim
        return PromptOptions(options.get(f"{stack}_prompt_length") or 100, hidden)

    adapter_dim = (options.get("adapter_dim") or 200) if options.get("adapter") else None
    return AdapterOptions(adapter_dim, prompt("encoder"), prompt("decoder"))


def freeze_options(options: Mapping[str, Any]) -> FreezeOptions:
    """What not to train."""

    def given(*names: str) -> bool:
        return any(options.get(name) for name in names)

    return FreezeOptions(
        token_embedding=given("freeze_encoder_embedding", "freeze_decoder_embedding"),
        encoder=given("freeze_encoder"),
        decoder=given("freeze_decoder"),
        bitfit=given("bitfit"),
        attached_only=given("adapter", "encoder_prompt", "decoder_prompt"),
    )


def wrap_layers(model: UnifiedTransformer, min_params: int) -> None:
    """Prepare the layers for fully sharded training; does nothing in any other kind."""
    for layers in (model.encoder.layers, model.decoder.layers):
        for index, layer in enumerate(layers):
            layers[index] = fsdp_wrap(layer, min_num_params=min_params)


def _register_architecture(size: str) -> None:
    config = SIZES[size]

    @register_model_architecture("ofa", f"ofa_{size}")  # type: ignore[untyped-decorator]
    def fill_sizes(options: Any) -> None:
        for field, names in SIZE_OPTIONS.items():
            for name in names:
                if getattr(options, name, None) is None:
                    setattr(options, name, getattr(config, field))


for _size in SIZES:
    _register_architecture(_size)
