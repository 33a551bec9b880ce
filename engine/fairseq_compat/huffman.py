"""bitarray 3 removed `util.rindex`, which the Huffman coder of text compression calls."""

from __future__ import annotations

import ast

from fairseq_compat.patch import Patch, swap


def _edit(tree: ast.Module) -> None:
    # The stop bit is always there: _pad wrote it.
    swap(tree, {"util.rindex(a, 1)": "a.find(1, right=True)"}, inside="HuffmanCoder._unpad")


PATCHES = (
    Patch(
        name="huffman-rindex",
        module="fairseq.data.huffman.huffman_coder",
        reason="AttributeError: module 'bitarray.util' has no attribute 'rindex'",
        edit=_edit,
    ),
)
