"""Near-duplicates by signatures: perceptual hashes of pictures, MinHash of texts.

Rows are sorted by parts of their signatures, and each is compared with a few neighbours only, so
that work and memory grow with the number of rows, not with its square.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]
Signatures = npt.NDArray[Any]

# Neighbours that a row is compared with, in each order. Where more rows than this agree in a part
# but not in the next one, a pair of them can go unseen in this order; there are 16.
_WINDOW = 16
_CHUNK = 1 << 16
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_HIGH = np.uint64(32)
_BIT_COUNTS = np.array([number.bit_count() for number in range(1 << 16)], dtype=np.uint8)
_WORD = re.compile(r"\w+")


class Measure(Protocol):
    """What makes two signatures alike.

    shift: bits of a key below those that both rows must share.
    """

    shift: int

    def keys(self, signatures: Signatures) -> Iterator[Words]:
        """Numbers (N,) to sort by; alike signatures (N, width) mostly share the upper bits."""

    def near(self, left: Signatures, right: Signatures) -> npt.NDArray[np.bool_]:
        """Which of the pairs (n, width) are alike."""


class PictureMeasure:
    """Perceptual hash of 256 bits, as 16 numbers of 16 bits; alike: at most `distance` differ.

    Two that differ in at most 15 bits share one of the numbers, so that is the largest distance.
    """

    width, dtype, shift = 16, np.uint16, 48
    # Neighbouring bits tell of similar frequencies; mixed, no number is that of the coarsest alone.
    _ORDER = np.random.default_rng(0).permutation(256)

    def __init__(self, distance: int) -> None:
        if not 0 <= distance < self.width:
            raise ValueError(f"--image-distance must lie from 0 to 15, found {distance}")
        self.distance = distance

    def signature(self, picture: Image.Image) -> npt.NDArray[np.uint16]:
        """(16,) of a picture.  Raises ValueError without the package imagehash."""
        bits = _package("imagehash").phash(picture, hash_size=self.width).hash.ravel()
        return np.packbits(bits[self._ORDER]).view(np.uint16)

    def keys(self, signatures: Signatures) -> Iterator[Words]:
        for band in range(self.width):
            key = np.zeros(len(signatures), np.uint64)
            for part in range(4):
                key = (key << np.uint64(16)) | signatures[:, (band + part) % self.width]
            yield key

    @staticmethod
    def distances(left: Signatures, right: Signatures) -> Rows:
        """Numbers of bits that differ."""
        found: Rows = _BIT_COUNTS[left ^ right].sum(axis=-1, dtype=np.int64)
        return found

    def near(self, left: Signatures, right: Signatures) -> npt.NDArray[np.bool_]:
        return self.distances(left, right) <= self.distance


class TextMeasure:
    """MinHash of runs of three words, 128 numbers; alike: so large a share of all runs is common.

    The share is estimated, with a standard error of 0.04. A pair with a share of 0.8 is compared
    with probability 0.95, one of 0.9 with 0.9999.
    """

    width, dtype, shift = 128, np.uint32, 32
    _BAND = 8

    def __init__(self, similarity: float) -> None:
        if not 0.5 <= similarity <= 1:
            raise ValueError(f"--text-similarity must lie from 0.5 to 1, found {similarity}")
        self.similarity = similarity

    def signature(self, text: str) -> npt.NDArray[np.uint32]:
        """(128,) of a text.  Raises ValueError without the package datasketch."""
        sketch = _sketch()
        sketch.clear()
        sketch.update_batch([run.encode() for run in word_runs(words_of(text), 3)])
        return np.asarray(sketch.hashvalues, dtype=np.uint32)

    def keys(self, signatures: Signatures) -> Iterator[Words]:
        starts = range(0, self.width, self._BAND)
        parts = [mix(signatures[:, start : start + self._BAND]) >> _HIGH for start in starts]
        for number, part in enumerate(parts):
            yield (part << _HIGH) | parts[(number + 1) % len(parts)]

    def near(self, left: Signatures, right: Signatures) -> npt.NDArray[np.bool_]:
        shares: npt.NDArray[np.float64] = (left == right).mean(axis=1)
        return shares >= self.similarity


def find_near(measure: Measure, signatures: Signatures, within: Words) -> Rows:
    """For each row (N,) the first row that it is alike to, or -1; the rows with -1 stay.

    signatures: (N, width). within: rows with different numbers are never alike.
    """
    digest = mix(signatures, within)
    _, first, inverse = np.unique(digest, return_index=True, return_inverse=True)
    leader = first[inverse]
    distinct = np.flatnonzero(leader == np.arange(len(leader)))
    like = np.full(len(leader), -1, dtype=np.int64)
    for low, high in _near_pairs(measure, signatures, within, distinct):
        if like[low] < 0 and like[high] < 0:
            like[high] = low
    repeated = np.flatnonzero(leader != np.arange(len(leader)))
    like[repeated] = np.where(like[leader] < 0, leader, like[leader])[repeated]
    return like


def _near_pairs(
    measure: Measure, signatures: Signatures, within: Words, rows: Rows
) -> list[list[int]]:
    """Pairs of these rows that are alike, by the later row."""
    apart = mix(within[:, None]) >> _HIGH << _HIGH
    found = [np.empty((0, 2), np.int64)]
    for key in measure.keys(signatures):
        key = (key ^ apart)[rows]
        order = np.argsort(key, kind="stable")
        group = key[order] >> np.uint64(measure.shift)
        for step in range(1, _WINDOW + 1):
            same = np.flatnonzero(group[step:] == group[:-step])
            if len(same) == 0:
                break
            for start in range(0, len(same), _CHUNK):
                part = same[start : start + _CHUNK]
                pairs = np.sort(np.stack([rows[order[part]], rows[order[part + step]]], 1), 1)
                left, right = pairs.T
                alike = (within[left] == within[right]) & measure.near(
                    signatures[left], signatures[right]
                )
                found.append(pairs[alike])
    pairs = np.unique(np.concatenate(found), axis=0)
    listed: list[list[int]] = pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))].tolist()
    return listed


def mix(columns: Signatures, start: Words | None = None) -> Words:
    """A number (N,) of 64 bits for each row of whole numbers (N, n)."""
    mixed = np.zeros(len(columns), np.uint64) if start is None else start.copy()
    for column in range(columns.shape[1]):
        mixed = (mixed ^ columns[:, column]) * _MULTIPLIER
        mixed ^= mixed >> _HIGH
    return mixed


def words_of(text: str) -> list[str]:
    """Words in lower case, without what stands between them."""
    return _WORD.findall(text.casefold())


def word_runs(words: Sequence[str], length: int) -> set[str]:
    """Different runs of so many words; of a shorter text, all of it."""
    last = max(len(words) - length, 0)
    return {" ".join(words[start : start + length]) for start in range(last + 1)}


@functools.cache
def _sketch() -> Any:
    return _package("datasketch").MinHash(num_perm=TextMeasure.width, seed=1)


@functools.cache
def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f"near-duplicates are found by the package {name}, which is not installed: "
            "pip install 'biomedgpt_fairseq[dedupe]'"
        ) from error
