"""Each update collects its metrics under a name made for it, whose count stock keeps for ever."""

from __future__ import annotations

import ast

from fairseq_compat.patch import Patch, swap

_STOCK = """
if _active_aggregators_cnt[name] == 0 and name in _active_aggregators:
    del _active_aggregators[name]
"""
_FORGET = """
if _active_aggregators_cnt[name] == 0:
    del _active_aggregators_cnt[name]
    _active_aggregators.pop(name, None)
"""


def _edit(tree: ast.Module) -> None:
    swap(tree, {_STOCK: _FORGET}, inside="aggregate")


PATCHES = (
    Patch(
        name="temporary-metrics",
        module="fairseq.logging.metrics",
        reason="memory grows by a name and its count with every update",
        edit=_edit,
    ),
)
