"""What one training step asks of the network, and examples of that shape."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from biomedgpt_fairseq.config import PATCH_STRIDE, ModelConfig
from biomedgpt_fairseq.losses.logits import Unprojected
from biomedgpt_fairseq.losses.token_losses import full_losses

ROWS_PER_EXTRA = 8
"""Of so many rows of pairs one brings texts, a picture to fill and one with boxes along."""
_EXTRAS = 4  # two texts, one of either picture
_TEXT_TOKENS = 256
_WORDING_TOKENS = 12  # of the instruction around a text


@dataclass(frozen=True)
class Group:
    """Examples that pass the network together, all as long as the longest.

    image: side in pixels, 0 without pictures.  patches: drawn of each picture, None: all.
    codes: targets may be image codes, whose rows have a bias of their own.
    """

    examples: int
    image: int
    source: int
    target: int
    patches: int | None = None
    codes: bool = False

    @property
    def positions(self) -> int:
        """Length of the encoder's sequence."""
        available = (self.image // PATCH_STRIDE) ** 2
        return self.source + (available if self.patches is None else self.patches)

    def of(self, examples: int) -> Group:
        """The same with another number of examples."""
        return replace(self, examples=examples)


def pretraining_groups(rows: int, pairs: Group) -> list[Group]:
    """Groups of a batch of so many rows of pairs; `pairs` says what an example is like."""
    extras = -(-rows // ROWS_PER_EXTRA) * _EXTRAS
    source, target = _TEXT_TOKENS + _WORDING_TOKENS, _TEXT_TOKENS + 1
    return [pairs.of(2 * rows), Group(extras, pairs.image, source, target, codes=True)]


def group_loss(
    network: nn.Module, group: Group, vocab_size: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Loss of random examples, as the criterion computes it: ()."""

    def tokens(length: int) -> Tensor:
        # Any ids but the special ones.
        return torch.randint(4, vocab_size, (group.examples, length), device=device)

    inputs = {"src_tokens": tokens(group.source), "prev_output_tokens": tokens(group.target)}
    if group.image:
        shape = (group.examples, 3, group.image, group.image)
        inputs["patch_images"] = torch.zeros(shape, device=device, dtype=dtype)
    if group.codes:
        inputs["code_masks"] = torch.arange(group.examples, device=device) % 2 == 1
    features = network(**inputs, sample_patch_num=group.patches, features_only=True)[0]
    logits = Unprojected(
        features.flatten(0, 1), network.get_parameter("encoder.embed_tokens.weight")
    )
    rows = torch.arange(len(logits.features), device=device)
    return full_losses(logits, rows, tokens(group.target).flatten()).nll.sum()


def with_regularisation(config: ModelConfig, vocab_size: int, checkpointing: bool) -> ModelConfig:
    """A size as it is trained: dropout and drop path keep memory, too."""
    return replace(
        config,
        vocab_size=vocab_size,
        dropout=0.1,
        encoder_drop_path=0.1,
        decoder_drop_path=0.1,
        checkpoint_activations=checkpointing,
    )
