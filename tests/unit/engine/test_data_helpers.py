"""The numpy data helpers against written-out results and, where built, the Cython original."""

import importlib.machinery
import importlib.util

import numpy as np
import pytest
from fairseq_compat import data_helpers
from hypothesis import given
from hypothesis import strategies as st


def compiled(name: str):
    """A module of fairseq's own that was compiled; the test is skipped without it."""
    spec = importlib.util.find_spec("fairseq")
    assert spec is not None and spec.submodule_search_locations
    folder = spec.submodule_search_locations[0] + "/data"
    found = importlib.machinery.PathFinder.find_spec(f"fairseq.data.{name}", [folder])
    if found is None or found.loader is None:
        pytest.skip("fairseq was built without a compiler")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def ints(values) -> np.ndarray:
    return np.asarray(values, dtype=np.int64)


SIZES = st.lists(st.integers(1, 9), max_size=30)


def batches(sizes, **limits) -> list[list[int]]:
    rows = np.arange(len(sizes))
    found = data_helpers.batch_by_size_vec(
        rows,
        ints(sizes),
        limits.get("tokens", -1),
        limits.get("rows", -1),
        limits.get("multiple", 1),
    )
    return [batch.tolist() for batch in found]


def test_batches_hold_at_most_the_rows():
    assert batches([1, 1, 1, 1, 1], rows=2) == [[0, 1], [2, 3], [4]]


def test_batches_count_padding_as_tokens():
    assert batches([2, 4, 4, 1], tokens=8) == [[0, 1], [2, 3]]


def test_batches_are_multiples_where_possible():
    assert batches([1] * 7, tokens=5, multiple=2) == [[0, 1, 2, 3], [4, 5], [6]]


def test_no_rows_no_batches():
    assert batches([]) == []


def test_too_long_row_is_an_assertion():
    with pytest.raises(AssertionError, match="max_tokens=3"):
        batches([1, 4], tokens=3)


@given(SIZES, st.integers(-1, 40), st.integers(-1, 8), st.integers(1, 5))
def test_batch_by_size_equals_the_original(sizes, tokens, rows, multiple):
    original = compiled("data_utils_fast")
    if sizes and 0 < tokens < max(sizes):
        tokens = max(sizes)
    arguments = (np.arange(len(sizes)), ints(sizes), tokens, rows, multiple)
    expected = original.batch_by_size_vec(*arguments)
    found = data_helpers.batch_by_size_vec(*arguments)
    assert [batch.tolist() for batch in found] == [batch.tolist() for batch in expected]
    by_function = (arguments[0], sizes.__getitem__, *arguments[2:])
    expected = original.batch_by_size_fn(*by_function)
    found = data_helpers.batch_by_size_fn(*by_function)
    assert [batch.tolist() for batch in found] == [batch.tolist() for batch in expected]


@given(SIZES, st.lists(st.tuples(st.integers(1, 6), st.integers(1, 9)), min_size=1, max_size=4))
def test_fixed_shapes_equal_the_original(sizes, shapes):
    original = compiled("data_utils_fast")
    arguments = (np.arange(len(sizes)), sizes.__getitem__, ints(sorted(shapes)))
    expected = original.batch_fixed_shapes_fast(*arguments)
    assert data_helpers.batch_fixed_shapes_fast(*arguments) == expected


@given(
    SIZES.filter(bool),
    st.sampled_from(["none", None, "complete", "complete_doc", "eos"]),
    st.integers(1, 20),
    st.integers(1, 3),
)
def test_slices_equal_the_original(sizes, mode, block, separator):
    original = compiled("token_block_utils_fast")
    arguments = (ints(sizes), mode, block, separator)
    found = data_helpers._get_slice_indices_fast(*arguments)
    if len(found) == 0:  # the original fails over documents that are all empty
        return
    expected = original._get_slice_indices_fast(*arguments)
    assert found.tolist() == expected.tolist()
    places = data_helpers._get_block_to_dataset_index_fast(ints(sizes), found)
    wanted = original._get_block_to_dataset_index_fast(ints(sizes), expected)
    assert places.tolist() == wanted.tolist()


def test_only_empty_documents_give_no_block():
    assert data_helpers._get_slice_indices_fast(ints([1, 1]), "complete_doc", 4, 1).shape == (0, 2)


def test_unknown_break_mode():
    with pytest.raises(ValueError, match="Invalid break_mode: words"):
        data_helpers._get_slice_indices_fast(ints([1]), "words", 4, 1)
