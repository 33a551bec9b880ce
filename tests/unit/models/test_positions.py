import pytest
import torch
from torch import nn

from biomedgpt_fairseq.models import positions

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("query", "key", "row"),
    [
        (0, 0, 255),
        (1, 0, 256),
        (0, 1, 254),
        (128, 0, 383),
        (129, 0, 384),
        (130, 0, 384),
        (0, 129, 126),
        (200, 0, 411),
        (500, 0, 467),
        (1000, 0, 509),
        (1023, 0, 510),
        (0, 1023, 0),
        (1099, 0, 510),
    ],
)
def test_token_buckets_are_exact_near_and_logarithmic_far(query: int, key: int, row: int) -> None:
    assert positions.token_buckets(1100, 256, CPU)[query, key] == row


def test_token_buckets_made_in_inference_mode_serve_training() -> None:
    positions._token_table.cache_clear()
    with torch.inference_mode():
        buckets = positions.token_buckets(3, 256, CPU)
    table = nn.Parameter(torch.zeros(511, 2))
    positions.relative_bias(table, buckets).sum().backward()
    assert table.grad is not None


def test_patch_ids_count_along_rows_of_the_largest_image() -> None:
    ids = positions.patch_ids(16, 16, 42, CPU)
    assert ids[:16].tolist() == list(range(1, 17))
    assert ids[16:32].tolist() == list(range(43, 59))


def test_patch_ids_of_a_non_square_image() -> None:
    assert positions.patch_ids(2, 3, 42, CPU).tolist() == [1, 2, 3, 43, 44, 45]


def test_patch_ids_raise_beyond_the_largest_image() -> None:
    with pytest.raises(ValueError, match="up to 672 pixels"):
        positions.patch_ids(43, 1, 42, CPU)


def test_image_buckets_of_equal_and_first_positions() -> None:
    buckets = positions.image_buckets(torch.tensor([0, 1, 44]), 42)
    assert buckets.tolist() == [[6891, 6889, 6889], [6890, 3444, 3360], [6890, 3528, 3444]]


def test_image_buckets_cover_the_table() -> None:
    ids = torch.arange(4 * 4 + 1)
    buckets = positions.image_buckets(ids, 4)
    assert sorted(buckets.flatten().unique().tolist()) == list(range(positions.num_image_rows(4)))


def test_code_ids_are_bos_then_a_picture_then_filler() -> None:
    ids = positions.code_ids(1026, 128, 42, CPU)
    assert ids[:3].tolist() == [0, 1, 2]
    assert ids[17] == 43
    assert ids[256] == 15 * 42 + 16
    assert ids[257:].unique().tolist() == [1024]


def test_code_ids_raise_beyond_the_filler() -> None:
    with pytest.raises(ValueError, match="only 1026 exist"):
        positions.code_ids(1027, 128, 42, CPU)


def test_relative_bias_takes_one_row_per_pair() -> None:
    table = torch.tensor([[0.0, 10.0], [1.0, 11.0], [2.0, 12.0]])
    bias = positions.relative_bias(table, torch.tensor([[1, 0], [2, 1]]))
    assert bias.tolist() == [[[[1, 0], [2, 1]], [[11, 10], [12, 11]]]]


def test_interpolated_positions_of_the_same_grid_are_the_learned_ones() -> None:
    table = torch.randn(17, 3)
    same = positions.interpolated_positions(table, 4, 2, 2, 2)
    assert torch.allclose(same[0], table[[1, 2, 5, 6]])


def test_interpolated_positions_blend_neighbours() -> None:
    table = torch.zeros(17, 1)
    table[[1, 5]] = 1.0
    wide = positions.interpolated_positions(table, 4, 2, 2, 4)
    assert wide.view(2, 4).tolist() == [[1.0, 0.75, 0.25, 0.0]] * 2
