"""An epoch that is resumed with another --update-freq, or another number of workers, ends early.

Stock counts all of its groups of batches as if they had been formed with the new number from the
beginning; then the number of those that are left can be one less than there are.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

from fairseq_compat.patch import Patch, prepend, swap


def total(iterable: Any, size: int, rounded: Callable[[float], int]) -> int:
    """Groups before this start, and those that the rest of the batches makes."""
    done = getattr(iterable, "n", 0)
    return math.ceil(done / size) + rounded((len(iterable) - done) / size)


def take_whole(iterable: Any, size: int) -> None:
    """Leave out the batches that make no full group."""
    done = getattr(iterable, "n", 0)
    iterable.take(done + (len(iterable) - done) // size * size)


_ROUNDED = "int(math.{}(len(iterable) / float(chunk_size)))"


def _edit(tree: ast.Module) -> None:
    swap(
        tree,
        {
            _ROUNDED.format("floor"): "_total(iterable, chunk_size, math.floor)",
            _ROUNDED.format("ceil"): "_total(iterable, chunk_size, math.ceil)",
            "iterable.take(total_num_itrs * chunk_size)": "_take_whole(iterable, chunk_size)",
        },
        inside="GroupedIterator.__init__",
    )
    prepend(tree, "from fairseq_compat.grouped_batches import total as _total")
    prepend(tree, "from fairseq_compat.grouped_batches import take_whole as _take_whole")


PATCHES = (
    Patch(
        name="grouped-batches",
        module="fairseq.data.iterators",
        reason="the last rows of an epoch resumed with another --update-freq are never seen",
        edit=_edit,
    ),
)
