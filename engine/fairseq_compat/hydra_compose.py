"""`hydra.experimental` is deprecated; compose and initialize moved, without compose(strict)."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from fairseq_compat.patch import Patch, swap


def initialize(config_path: str) -> Any:
    """`hydra.initialize` for a caller in fairseq.dataclass, with the rules of hydra 1.1.

    Those rules are needed: fairseq's config.yaml relies on a schema of the same name.
    """
    from pathlib import Path

    import fairseq.dataclass
    import hydra

    # hydra resolves a relative path from the file of its caller, which would be this file.
    folder = Path(fairseq.dataclass.__file__).parent / config_path
    return hydra.initialize_config_dir(str(folder.resolve()), version_base="1.1")


def compose(config_name: str, overrides: Sequence[str], strict: bool) -> Any:
    """`hydra.compose`; strict=False lets the caller add keys."""
    import hydra
    from omegaconf import OmegaConf

    config = hydra.compose(config_name, overrides=list(overrides))
    OmegaConf.set_struct(config, strict)
    return config


def _edit(tree: ast.Module) -> None:
    swap(
        tree,
        {
            "from hydra.experimental import compose, initialize": (
                "from fairseq_compat.hydra_compose import compose, initialize"
            )
        },
    )
    # The call that the replacement serves.
    call = 'compose("config", overrides=overrides, strict=False)'
    swap(tree, {call: call}, inside="convert_namespace_to_omegaconf")


PATCHES = (
    Patch(
        name="hydra-compose",
        module="fairseq.dataclass.utils",
        reason="hydra.experimental is deprecated and goes away; warnings at every start until then",
        edit=_edit,
    ),
)
