"""numpy removed its aliases of builtin types (1.24) and `np.compat` (2.0)."""

from __future__ import annotations

from functools import partial

from fairseq_compat.patch import Patch, swap

_USES = {
    "fairseq.data.data_utils": {"np.int": "int"},
    "fairseq.data.language_pair_dataset": {"np.compat.long": "int"},
    "fairseq.data.token_block_dataset": {"np.compat.long": "int"},
    "fairseq.modules.dynamic_crf_layer": {"np.float": "float"},
}

PATCHES = tuple(
    Patch(
        name="numpy-aliases",
        module=module,
        reason="AttributeError: module 'numpy' has no attribute 'int', 'float', 'compat'",
        edit=partial(swap, table=table),
    )
    for module, table in _USES.items()
)
