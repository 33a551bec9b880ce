"""How often and how much pretraining changes its rows, where that is drawn at random."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from biomedgpt_fairseq.data.detection import Objects, random_view
from biomedgpt_fairseq.data.infill_rows import make_text_examples
from biomedgpt_fairseq.data.pair_images import PairImages
from biomedgpt_fairseq.data.text_infill import NoiseOptions, TextNoise
from biomedgpt_fairseq.text.vocab import Vocabulary

DRAWS = 1500
SIDE = 64
MASK = 4 + 257


def assert_uniform(values: list[float], low: float, high: float) -> None:
    """The largest distance between the distribution of the values and the uniform one is as small
    as in all but one of 1,000 samples of this size (Kolmogorov and Smirnov).
    """
    shares = np.sort((np.array(values) - low) / (high - low))
    ranks = np.arange(1, len(shares) + 1) / len(shares)
    distance = max(np.abs(ranks - shares).max(), np.abs(ranks - 1 / len(ranks) - shares).max())
    assert distance < 1.95 / math.sqrt(len(shares))


@pytest.fixture(scope="module")
def views() -> list[tuple[bool, float, float, float]]:
    """Whether it is mirrored, zoom, and where the crop begins in x and y as shares of what is left
    over, of detection pictures.
    """
    picture = Image.fromarray(np.tile(np.arange(SIDE, dtype=np.uint8) * 4, (SIDE, 1))).convert(
        "RGB"
    )
    found = []
    for seed in range(DRAWS):
        # A grid of objects: one that is seen whole tells zoom and crop.
        corners = np.arange(0, SIDE, 8.0)
        grid = [[x, y, x + 8, y + 8] for y in corners for x in corners]
        objects = Objects(np.array(grid), [str(i) for i in range(len(grid))])
        view, seen = random_view(picture, objects, SIDE, 0.5, np.random.default_rng(seed))
        pixels = np.asarray(view.convert("L"), dtype=float)[32]
        mirrored = bool(pixels[0] > pixels[-1])
        inner = {
            int(name): box
            for name, box in zip(seen.names, seen.boxes, strict=True)
            if box.min() > 0 and box.max() < SIDE
        }
        name, box = next(iter(inner.items()))
        zoom = (box[3] - box[1]) / 8
        left_over = round(zoom * SIDE) - SIDE
        if left_over < 8:  # too few places for the crop to tell their distribution
            found.append((mirrored, zoom, math.nan, math.nan))
            continue
        x = grid[name][0] if not mirrored else SIDE - grid[name][2]
        left, top = x * zoom - box[0], grid[name][1] * zoom - box[1]
        found.append((mirrored, zoom, left / left_over, top / left_over))
    return found


def test_half_of_the_detection_pictures_are_mirrored(views: Any) -> None:
    share = np.mean([mirrored for mirrored, *_ in views])
    assert share == pytest.approx(0.5, abs=3.3 * 0.5 / math.sqrt(DRAWS))


def test_zoom_of_detection_pictures_is_uniform_up_to_one_and_a_half(views: Any) -> None:
    # The side is rounded to whole pixels, half of one at either end.
    assert_uniform([zoom for _, zoom, *_ in views], 1.0, 1.5)


def test_detection_crops_begin_anywhere(views: Any) -> None:
    for axis in (2, 3):
        begins = [view[axis] for view in views if not math.isnan(view[axis])]
        assert len(begins) > DRAWS / 2
        assert min(begins) > -0.01 and max(begins) < 1.01
        assert np.mean(begins) == pytest.approx(0.5, abs=3.3 * 0.32 / math.sqrt(len(begins)))
        assert np.std(begins) == pytest.approx(math.sqrt(1 / 12), abs=0.03)


def test_shorter_side_of_pairs_is_uniform_up_to_480() -> None:
    images = PairImages(200, training=True)
    picture = Image.new("L", (30, 40))
    sides = [
        images._random_size(picture, np.random.default_rng(seed)).width for seed in range(DRAWS)
    ]
    assert min(sides) >= 200 and max(sides) <= 480
    assert_uniform([float(side) for side in sides], 199.5, 480.5)


class Words:
    """A vocabulary in which every token is a word."""

    vocab = Vocabulary([str(i) for i in range(200)], 8, 10)

    def word_starts(self) -> np.ndarray:
        return np.ones(len(self.vocab), dtype=bool)


@pytest.mark.parametrize("words", [1, 7, 40])
def test_lengths_of_spans_add_up_to_the_share_of_words(words: int) -> None:
    corrupt = TextNoise(Words(), NoiseOptions())  # type: ignore[arg-type]
    budget = math.ceil(0.3 * words)
    for seed in range(200):
        lengths = corrupt._span_lengths(budget, np.random.default_rng(seed))
        assert lengths.sum() == budget and lengths[-1] > 0 and lengths.min() >= 0


def test_share_of_empty_spans_is_that_of_the_distribution() -> None:
    corrupt = TextNoise(Words(), NoiseOptions())  # type: ignore[arg-type]
    drawn = np.concatenate(
        [corrupt._span_lengths(3000, np.random.default_rng(seed))[:-1] for seed in range(20)]
    )
    expected = math.exp(-3)
    error = math.sqrt(expected * (1 - expected) / len(drawn))
    assert np.mean(drawn == 0) == pytest.approx(expected, abs=3.3 * error)


def test_masks_are_inserted_at_every_place_equally_often() -> None:
    corrupt = TextNoise(Words(), NoiseOptions())  # type: ignore[arg-type]
    text = np.arange(10, 19)
    counts = np.zeros(len(text) + 1)
    for seed in range(4000):
        noisy = corrupt._insert_masks(text, 1, np.random.default_rng(seed))
        counts[int(np.flatnonzero(noisy == corrupt.mask)[0])] += 1
    expected = 4000 / len(counts)
    assert ((counts - expected) ** 2 / expected).sum() < 27.9  # chi-square, 9 degrees, p = 0.001


@pytest.mark.parametrize(
    ("replace_length", "low", "high"), [(1, 3.2, 4.9), (0, 0.1, 0.9), (-1, 9.8, 12)]
)
def test_masks_of_a_text_row_are_as_many_as_the_mode_says(
    pretrain_tools: Any, replace_length: int, low: float, high: float
) -> None:
    """Forty words: twelve are masked, fewer where spans overlap, in spans of three on average, with
    an insertion for each empty span.
    """
    tools, options = pretrain_tools()
    noise = TextNoise(tools.tokenizer, NoiseOptions(replace_length=replace_length))
    # Of one letter: a word is two tokens here, its space and itself.
    row = ["t", " ".join("abcdefghij"[i % 10] for i in range(40))]
    masks, words = [], []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        (example,) = make_text_examples(row, replace(tools, noise=noise), options, rng)
        source = example.source.tolist()
        masks.append(source.count(MASK))
        words.append(len(source))
        assert len(example.target) == 81  # the whole text, whatever was masked
    share = 2 if replace_length == -1 else 1  # a mask for each token
    assert low < np.mean(masks) / share < high
    assert len(set(words)) > (1 if replace_length == -1 else 3)
