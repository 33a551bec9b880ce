"""`--store-ema` averages every entry of the state dict, which torch refuses for integer buffers."""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import Any

from fairseq_compat.patch import Patch, prepend, swap


def keys_to_copy(model: Any, keys: Collection[str] | None) -> set[str]:
    """The given keys and those of integer and boolean buffers: copied, not averaged."""
    buffers = model.state_dict().items()
    integers = {
        name for name, value in buffers if hasattr(value, "dtype") and not value.is_floating_point()
    }
    return integers | set(keys or ())


def _edit(tree: ast.Module) -> None:
    swap(
        tree,
        {"skip_keys or set()": "_keys_to_copy(self.model, skip_keys)"},
        inside="EMA.__init__",
    )
    prepend(tree, "from fairseq_compat.ema_buffers import keys_to_copy as _keys_to_copy")


PATCHES = (
    Patch(
        name="ema-integer-buffers",
        module="fairseq.models.ema.ema",
        reason="RuntimeError: result type Float can't be cast to the desired output type Long",
        edit=_edit,
    ),
)
