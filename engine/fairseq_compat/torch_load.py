"""`torch.load` anywhere in fairseq goes through the safe loader."""

from __future__ import annotations

import ast

from fairseq_compat.patch import FAIRSEQ_VERSION, Patch, prepend, swap

_ACCEPTED = {"map_location", "mmap"}


def concerns(source: bytes) -> bool:
    """Whether a module's source may call torch.load."""
    return b"torch.load" in source


def _edit(tree: ast.Module) -> None:
    calls = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            calls += 1
            unknown = {str(keyword.arg) for keyword in node.keywords} - _ACCEPTED
            if unknown or len(node.args) > 2:
                raise ImportError(
                    f"line {node.lineno}: torch.load with arguments {sorted(unknown)}, "
                    f"which fairseq {FAIRSEQ_VERSION} does not use"
                )
    if not calls:  # the name occurs in a comment, as torch.load_... or as torch.loads
        return
    swap(tree, {"torch.load": "_safe_load"})
    prepend(tree, "from fairseq_compat.safe_load import load as _safe_load")


def patches(module: str, source: bytes) -> list[Patch]:
    """The patch for this module, if its source calls torch.load."""
    if not concerns(source):
        return []
    reason = "torch >= 2.6 refuses a Namespace in a checkpoint; torch.load of old runs any code"
    return [Patch(name="safe-load", module=module, reason=reason, edit=_edit)]
