"""Python 3.11 refuses dataclass defaults whose class has no hash; fairseq's configs are such."""

from __future__ import annotations

import ast

from fairseq_compat.patch import Patch, misfit

# @dataclass leaves an explicit hash alone.  The defaults must stay instances (a default_factory
# would do otherwise): fairseq registers `field.default` in hydra's store.
_HOOK = """
def __init_subclass__(cls, **kwargs):
    super().__init_subclass__(**kwargs)
    if cls.__dict__.get("__hash__") is None:
        cls.__hash__ = object.__hash__
"""


def _edit(tree: ast.Module) -> None:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "FairseqDataclass":
            if "__init_subclass__" in ast.unparse(node):
                raise misfit("class FairseqDataclass without __init_subclass__")
            node.body.extend(ast.parse(_HOOK).body)
            return
    raise misfit("class FairseqDataclass")


PATCHES = (
    Patch(
        name="dataclass-hash",
        module="fairseq.dataclass.configs",
        reason="ValueError: mutable default <class ...> for field ... use default_factory",
        edit=_edit,
    ),
)
