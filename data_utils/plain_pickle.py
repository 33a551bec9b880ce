"""THE reader of old pickles: it builds plain values and runs nothing."""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

MAX_BYTES = 64 * 2**20
# What caches of document frequencies are made of; the first names are those of Python 2.
COUNTERS: Mapping[tuple[str, str], type] = {
    ("__builtin__", "float"): float,
    ("__builtin__", "int"): int,
    ("builtins", "float"): float,
    ("builtins", "int"): int,
    ("collections", "defaultdict"): defaultdict,
}


class _PlainUnpickler(pickle.Unpickler):
    """Builds containers, text and numbers; names of classes and functions must be listed."""

    def __init__(self, stream: IO[bytes], allowed: Mapping[tuple[str, str], type]) -> None:
        # Text of Python 2 is bytes: UTF-8, which ASCII is part of.
        super().__init__(stream, encoding="utf-8")
        self._allowed = allowed

    def find_class(self, module_name: str, global_name: str) -> Any:
        found = self._allowed.get((module_name, global_name))
        if found is None:
            raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")
        return found

    def persistent_load(self, pid: object) -> Any:
        raise pickle.UnpicklingError(f"it names a persistent object {pid!r}")


def load_plain_pickle(
    path: Path,
    allowed: Mapping[tuple[str, str], type] | None = None,
    max_bytes: int = MAX_BYTES,
) -> object:
    """Containers, text and numbers of a pickle; ValueError when it holds anything else.

    allowed: (module, name) -> class that may be built besides.
    Raises FileNotFoundError for a missing file, ValueError for a larger one than max_bytes.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.stat().st_size > max_bytes:
        raise ValueError(f"{path}: more than {max_bytes} bytes, too large to be what is expected")
    with path.open("rb") as stream:
        try:
            found: object = _PlainUnpickler(stream, allowed or {}).load()
        except (
            pickle.UnpicklingError,
            EOFError,
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            AttributeError,
            OverflowError,
            MemoryError,
        ) as error:
            raise ValueError(f"{path}: expected a pickle of plain values: {error}") from error
    return found
