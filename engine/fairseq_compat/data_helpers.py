"""numpy versions of fairseq's two Cython modules, for an install without a C++ compiler.

Loaded as fairseq.data.data_utils_fast and as fairseq.data.token_block_utils_fast, and only when the
compiled modules are absent.  Results are equal; batching of a million rows takes seconds
instead of milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def batch_by_size_vec(
    indices: Ints, num_tokens_vec: Ints, max_tokens: int, max_sentences: int, bsz_mult: int
) -> list[Ints]:
    """Split indices (N,) into batches in their order.

    A batch has at most max_sentences rows and max_tokens tokens with padding, where a limit <= 0
    means none, and a multiple of bsz_mult rows where possible.
    """
    sizes: list[int] = np.asarray(num_tokens_vec).tolist()
    if not sizes:
        return []
    token_limit = max_tokens if max_tokens > 0 else float("inf")
    row_limit = max_sentences if max_sentences > 0 else float("inf")
    # An assertion as in fairseq, whose callers expect one.
    assert max(sizes) <= token_limit, f"Sentences lengths should not exceed max_tokens={max_tokens}"
    ends: list[int] = []  # of the batches closed so far
    # The open batch is [start, end), of the given width; [end, here] is not accepted into it yet.
    start = end = width = tail_width = 0
    for here, size in enumerate(sizes):
        tail_width = max(tail_width, size)
        rows = here + 1 - start
        joined_width = max(width, tail_width)
        full = rows > row_limit or rows * joined_width > token_limit
        if full:
            if (here + 1 - end) * tail_width > token_limit:
                ends.append(end)
                end, tail_width = here, size
            ends.append(end)
            start, joined_width = end, tail_width
        if full or rows < bsz_mult or rows % bsz_mult == 0:
            end, width, tail_width = here + 1, joined_width, 0
    if end != len(sizes):
        ends.append(end)
    return [np.asarray(batch) for batch in np.split(indices, ends)]


def batch_by_size_fn(
    indices: Ints,
    num_tokens_fn: Callable[[int], int],
    max_tokens: int,
    max_sentences: int,
    bsz_mult: int,
) -> list[Ints]:
    """`batch_by_size_vec` with the sizes from a function of the index."""
    sizes = np.fromiter(map(num_tokens_fn, indices), dtype=np.int64, count=len(indices))
    return batch_by_size_vec(indices, sizes, max_tokens, max_sentences, bsz_mult)


def batch_fixed_shapes_fast(
    indices: Ints, num_tokens_fn: Callable[[int], int], fixed_shapes_sorted: Ints
) -> list[list[int]]:
    """Batches that each fit one of the shapes (M, 2): rows, tokens per row."""
    shapes: list[tuple[int, int]] = [tuple(shape) for shape in fixed_shapes_sorted.tolist()]
    batches: list[list[int]] = []
    batch: list[int] = []
    width = 0
    for index in indices.tolist():
        size = num_tokens_fn(index)
        width = max(width, size)
        if not any(len(batch) < rows and width <= tokens for rows, tokens in shapes):
            batches.append(batch)
            # fairseq forgets the width of the row that opens the new batch; so does this.
            batch, width = [], 0
        batch.append(index)
    return [*batches, batch] if batch else batches


def _get_slice_indices_fast(
    sizes: Ints, break_mode: str | None, block_size: int, document_sep_len: int
) -> Ints:
    """(M, 2) begin and end of each block in the joined tokens of all sentences of sizes (N,)."""
    if break_mode is None or break_mode == "none":
        total = int(sizes.sum())
        begins = np.arange(0, total, block_size, dtype=np.int64)
        return np.stack([begins, np.minimum(begins + block_size, total)], axis=1)
    if break_mode == "eos":
        ends = np.cumsum(sizes)
        return np.stack([ends - sizes, ends], axis=1)
    if break_mode == "complete":
        return _whole_sentences(sizes, block_size, separator=None)
    if break_mode == "complete_doc":
        return _whole_sentences(sizes, block_size, separator=document_sep_len)
    raise ValueError("Invalid break_mode: " + break_mode)


def _whole_sentences(sizes: Ints, block_size: int, separator: int | None) -> Ints:
    """Blocks of whole sentences; a sentence of separator tokens ends a document and is dropped."""
    smallest = 0 if separator is None else 1  # a document of one token holds only its end mark
    blocks: list[tuple[int, int]] = []
    begin = length = 0
    for size in sizes.tolist():
        separates = size == separator
        if separates or (length and length + size > block_size):
            if length > smallest:
                blocks.append((begin, begin + length))
            begin, length = begin + length, 0
        if separates:
            begin += size
        else:
            length += size
    if length > smallest:
        blocks.append((begin, begin + length))
    return np.asarray(blocks, dtype=np.int64).reshape(len(blocks), 2)


def _get_block_to_dataset_index_fast(sizes: Ints, slice_indices: Ints) -> Ints:
    """(M, 3) of each block: first sentence, offset in it, last sentence."""
    ends = np.cumsum(sizes)
    begin, end = slice_indices[:, 0], slice_indices[:, 1]
    first = np.searchsorted(ends, begin, side="right")
    last = np.where(end <= begin, first, np.searchsorted(ends, end - 1, side="right"))
    sentence_begin = np.concatenate([[0], ends])[first]
    columns: Any = (first, begin - sentence_begin, last)
    return np.stack(columns, axis=1).astype(np.int64)
