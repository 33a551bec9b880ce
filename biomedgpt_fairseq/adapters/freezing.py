"""Which parameters are trained."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from torch import nn

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FreezeOptions:
    """What stays as it is.  Several options together freeze what each of them freezes, except that
    `bitfit` and `attached_only` together train both of their sets."""

    token_embedding: bool = False
    """The token table, and with it the output matrix, which is the same tensor."""
    encoder: bool = False
    decoder: bool = False
    bitfit: bool = False
    """Train only the biases of the transformer, those of layer norms included."""
    attached_only: bool = False
    """Train only adapters, prompts and classification heads."""


ATTACHED = r"\.adapter\.|_prompt_encoder\.|^classification_heads\."
FREEZING: dict[str, str] = {
    "token_embedding": r"^(encoder|decoder)\.embed_tokens\.|^decoder\.output_projection\.",
    "encoder": r"^encoder\.",
    "decoder": r"^decoder\.",
}
"""Option -> names that it freezes."""
TRAINING: dict[str, str] = {
    # Original: only biases with `layer_norm` or `fc` in their names, which leaves out most of them.
    "bitfit": r"^(encoder|decoder)\.(?!embed_images\.).*\bbias$|^classification_heads\.",
    # Original: adapters alone froze nothing but the token table.
    "attached_only": ATTACHED,
}
"""Option -> the only names that it trains."""


def trainable_parameters(model: nn.Module, options: FreezeOptions) -> frozenset[str]:
    """Names, one per tensor, of the parameters that the options leave trainable.

    A tensor with several names is trained only if all of them are.  What is attached is frozen by
    `bitfit` alone.
    """
    frozen = [rule for name, rule in FREEZING.items() if getattr(options, name)]
    only = [rule for name, rule in TRAINING.items() if getattr(options, name)]

    def trained(name: str) -> bool:
        if only and not any(re.search(rule, name) for rule in only):
            return False
        return bool(re.search(ATTACHED, name)) or not any(re.search(r, name) for r in frozen)

    named = list(model.named_parameters(remove_duplicate=False))
    untrained = {id(parameter) for name, parameter in named if not trained(name)}
    return frozenset(n for n, p in model.named_parameters() if id(p) not in untrained)


def freeze(model: nn.Module, options: FreezeOptions) -> None:
    """Switch off the gradients of everything else; a frozen encoder's image trunk also keeps its
    running statistics."""
    names = trainable_parameters(model, options)
    count = total = 0
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in names)
        total += parameter.numel()
        count += parameter.numel() if name in names else 0
    if options.encoder or options.attached_only or options.bitfit:
        trunk = model.get_submodule("encoder.embed_images")
        trunk.frozen = True  # type: ignore[assignment]
        trunk.train(trunk.training)
    if count < total:
        logger.info("training %d of %d parameters", count, total)
