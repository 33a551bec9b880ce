"""Attention biases from positions: absolute ones, relative tables, buckets, interpolation.

The absolute bias is a product of projected position vectors, shared by all layers; each layer adds
a learned number per head for every relative position.  Bucket tables are integers that follow from
sizes alone: they are made once per size and device and are no part of the state.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from biomedgpt_fairseq.config import PATCH_STRIDE

MAX_DISTANCE = 1024
"""The logarithmic bins end here, whatever the longest sequence."""
CODE_STRIDE = 8
CODE_FILLER = 769
CODE_FILLER_ID = 1024
"""Original: so many positions after the codes all share this image position."""


def token_buckets(length: int, bucket_size: int, device: torch.device) -> Tensor:
    """Row of the token table for query i and key j: (length, length) int32.

    Distances up to bucket_size / 2 have a row each, longer ones share rows logarithmically up to
    MAX_DISTANCE - 1 (T5's bins, arXiv:1910.10683).
    """
    # Lengths differ from batch to batch; all are cut from one table, which is made once.
    made = math.ceil(length / MAX_DISTANCE) * MAX_DISTANCE
    return _token_table(made, bucket_size, device)[:length, :length]


@functools.lru_cache(maxsize=8)
def _token_table(length: int, bucket_size: int, device: torch.device) -> Tensor:
    rows = [_token_bucket(d, bucket_size) for d in range(1 - length, length)]
    # Cached tensors must not be inference tensors: training would refuse them.
    with torch.inference_mode(False):
        at = torch.arange(length)
        table = torch.tensor(rows, dtype=torch.int32)[at[:, None] - at[None, :] + length - 1]
        return table.to(device)


def _token_bucket(distance: int, bucket_size: int) -> int:
    exact = bucket_size // 2
    far = min(abs(distance), MAX_DISTANCE - 1)
    if far > exact:
        share = math.log(far / exact) / math.log((MAX_DISTANCE - 1) / exact)
        distance = int(math.copysign(math.ceil(share * (exact - 1)) + exact, distance))
    return distance + bucket_size - 1


def num_token_rows(bucket_size: int) -> int:
    """Rows of a token table."""
    return 2 * bucket_size - 1


def num_image_rows(grid: int) -> int:
    """Rows of an image table: every (row, column) distance and three for position 0."""
    return (2 * grid - 1) ** 2 + 3


@functools.lru_cache(maxsize=16)
def patch_ids(height: int, width: int, grid: int, device: torch.device) -> Tensor:
    """Position id of each patch of a height x width picture, row by row: (P,) int64.

    Id 0 is kept for "before the first code".  Raises ValueError for pictures beyond grid x grid.
    """
    if max(height, width) > grid:
        raise ValueError(
            f"an image of {height} x {width} patches exceeds the {grid} x {grid} that have "
            f"positions; use images up to {grid * PATCH_STRIDE} pixels a side"
        )
    with torch.inference_mode(False):
        rows = torch.arange(height, device=device)[:, None] * grid
        return (rows + torch.arange(width, device=device) + 1).flatten()


def code_ids(length: int, code_image_size: int, grid: int, device: torch.device) -> Tensor:
    """Image position id of each decoder position of a code sequence: (length,) int64.

    Position 0 is bos, position k the k-th code.  Raises ValueError beyond the filler.
    """
    ids = _all_code_ids(code_image_size, grid, device)
    if length > len(ids):
        raise ValueError(f"{length} code positions asked for, only {len(ids)} exist")
    return ids[:length]


@functools.lru_cache(maxsize=8)
def _all_code_ids(code_image_size: int, grid: int, device: torch.device) -> Tensor:
    side = code_image_size // CODE_STRIDE
    with torch.inference_mode(False):
        codes = patch_ids(side, side, grid, torch.device("cpu"))
        filler = torch.full((CODE_FILLER,), CODE_FILLER_ID)
        return torch.cat([torch.zeros(1, dtype=torch.long), codes, filler]).to(device)


def image_buckets(ids: Tensor, grid: int) -> Tensor:
    """Row of the image table for each pair of position ids: (..., P) -> (..., P, P) int32."""
    span = 2 * grid - 1
    place = ids - 1
    # One number per position whose differences tell row and column distances apart.
    place = place.div(grid, rounding_mode="floor") * span + place % grid
    query, key = place.unsqueeze(-1), place.unsqueeze(-2)
    buckets = query - key + (grid - 1) * (span + 1)
    last = num_image_rows(grid) - 1
    query_first, key_first = ids.eq(0).unsqueeze(-1), ids.eq(0).unsqueeze(-2)
    buckets = torch.where(query_first, last - 2, buckets)
    buckets = torch.where(key_first, torch.where(query_first, last, last - 1), buckets)
    return buckets.int()


@functools.lru_cache(maxsize=8)
def patch_buckets(height: int, width: int, grid: int, device: torch.device) -> Tensor:
    """`image_buckets` of a whole picture: (P, P) int32."""
    with torch.inference_mode(False):
        return image_buckets(patch_ids(height, width, grid, device), grid)


def code_buckets(length: int, code_image_size: int, grid: int, device: torch.device) -> Tensor:
    """`image_buckets` of the first decoder positions of a code sequence: (length, length) int32."""
    code_ids(length, code_image_size, grid, device)  # refuses a length beyond the filler
    return _all_code_buckets(code_image_size, grid, device)[:length, :length]


@functools.lru_cache(maxsize=8)
def _all_code_buckets(code_image_size: int, grid: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return image_buckets(_all_code_ids(code_image_size, grid, device), grid)


def relative_bias(table: Tensor, buckets: Tensor) -> Tensor:
    """Bias of each pair: table (rows, H), buckets (T, S) or (B, T, S) -> (1 or B, H, T, S)."""
    if buckets.dim() == 2:
        buckets = buckets.unsqueeze(0)
    return F.embedding(buckets, table).movedim(-1, 1)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, T, D) -> (B, H, T, D / H)."""
    return x.view(x.size(0), x.size(1), heads, -1).transpose(1, 2)


def absolute_bias(query: Tensor, key: Tensor, scale: float) -> Tensor:
    """Product of projected position vectors: (B, H, T, h), (B, H, S, h) -> (B, H, T, S)."""
    return (query * scale) @ key.transpose(-1, -2)


def position_scale(head_dim: int, attn_scale_factor: float) -> float:
    """Factor of content and position products; each gives its share of the usual variance."""
    return 1 / math.sqrt(head_dim * attn_scale_factor)


def interpolated_positions(table: Tensor, grid: int, side: int, height: int, width: int) -> Tensor:
    """Learned positions of a side x side picture, resized to height x width: (1, P, D)."""
    known = F.embedding(patch_ids(side, side, grid, table.device), table)  # (side * side, D)
    known = known.view(1, side, side, -1).permute(0, 3, 1, 2)  # (1, D, side, side)
    resized = F.interpolate(known, (height, width), mode="bilinear", align_corners=False)
    return resized.flatten(2).transpose(1, 2)
