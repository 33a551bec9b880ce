from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from biomedgpt_fairseq.data import augment_ops
from biomedgpt_fairseq.data.augment import (
    PRESETS,
    AugmentConfig,
    ImageAugmentation,
    build_augmentation,
    erase_rectangle,
    random_affine,
    random_crop,
)
from biomedgpt_fairseq.data.augment_ops import Canvas, affine
from biomedgpt_fairseq.data.image import HALF, ImageTransform
from biomedgpt_fairseq.data.pixels import ImageScale, to_pixels

SCALE = ImageScale(HALF, HALF)
CANVAS = Canvas((9, 9, 9), Image.Resampling.NEAREST)


def picture(width: int = 40, height: int = 30) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x * y) % 256], axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


def values(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("preset", ["released", "gentle", "laterality-safe"])
def test_result_depends_on_the_generator_alone(preset: str) -> None:
    augmentation = build_augmentation(preset, HALF, HALF)
    assert augmentation is not None
    results = []
    for seed in (1, 2, 1):
        rng = np.random.default_rng(seed)
        np.random.seed(len(results))
        torch.manual_seed(len(results))
        image = augmentation.on_image(picture(), 24, rng)
        assert (image.size, image.mode) == ((24, 24), "RGB")
        results.append(augmentation.on_pixels(to_pixels(image), SCALE, rng))
    assert torch.equal(results[0], results[2])
    assert not torch.equal(results[0], results[1])


def test_augmentation_travels_to_other_processes() -> None:
    augmentation = build_augmentation("released", HALF, HALF)
    copy = pickle.loads(pickle.dumps(augmentation))
    images = [a.on_image(picture(), 24, np.random.default_rng(5)) for a in (augmentation, copy)]
    np.testing.assert_array_equal(values(images[0]), values(images[1]))


def test_none_is_no_augmentation() -> None:
    assert build_augmentation("none", HALF, HALF) is None
    nothing = ImageAugmentation(AugmentConfig(), HALF)
    rng = np.random.default_rng(0)
    image = nothing.on_image(picture(), 24, rng)
    np.testing.assert_array_equal(values(image), values(ImageTransform(24).resize(picture())))


def test_unknown_preset_lists_the_known() -> None:
    with pytest.raises(ValueError, match="released, gentle, laterality-safe, none"):
        build_augmentation("strong", HALF, HALF)


def test_laterality_safe_never_flips_and_loses_nothing() -> None:
    """Marks at the corners and one on the left stay, on their sides, in every draw."""
    config = PRESETS["laterality-safe"]
    assert config.flip == 0 and config.crop_scale is None and not config.erase
    size = 64
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size], [3, size / 2]], float)
    for seed in range(300):
        a, b, c, d, e, f = random_affine(config, size, np.random.default_rng(seed))
        forward = np.linalg.inv(np.array([[a, b, c], [d, e, f], [0, 0, 1]]))
        moved = (forward @ np.c_[corners, np.ones(5)].T)[:2].T
        assert moved.min() > -1e-9 and moved.max() < size + 1e-9
        assert moved[4, 0] < size / 2
        assert np.linalg.det(forward) > 0


def test_gentle_may_flip() -> None:
    augmentation = ImageAugmentation(AugmentConfig(flip=1.0), HALF)
    flipped = augmentation.on_image(picture(24, 24), 24, np.random.default_rng(0))
    np.testing.assert_array_equal(values(flipped), values(picture(24, 24))[:, ::-1])


@pytest.mark.parametrize("size", [(40, 30), (1, 1), (1, 200), (200, 1), (7, 5)])
def test_crop_stays_inside_and_keeps_its_bounds(size: tuple[int, int]) -> None:
    width, height = size
    for seed in range(50):
        rng = np.random.default_rng(seed)
        left, top, right, bottom = random_crop(size, (0.08, 1.0), (3 / 4, 4 / 3), rng)
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        if min(size) > 10:
            assert (right - left) * (bottom - top) >= 0.06 * width * height
            assert 0.6 < (right - left) / (bottom - top) < 1.6


def test_erased_share_and_noise() -> None:
    pixels = torch.full((3, 50, 60), 7.0)
    shares = []
    for seed in range(100):
        erased = erase_rectangle(pixels, np.random.default_rng(seed))
        changed = (erased != 7).all(0)
        shares.append(float(changed.float().mean()))
        noise = erased[:, changed]
        assert abs(float(noise.mean())) < 0.5
    assert bool((pixels == 7).all())
    assert min(shares) > 0.01 and max(shares) < 0.36
    assert 0.1 < np.mean(shares) < 0.25


def test_erasing_happens_with_its_probability() -> None:
    augmentation = ImageAugmentation(replace(AugmentConfig(), erase=0.25), HALF)
    rng = np.random.default_rng(0)
    pixels = torch.zeros(3, 16, 16)
    erased = sum(bool(augmentation.on_pixels(pixels, SCALE, rng).any()) for _ in range(400))
    assert 70 < erased < 130


@pytest.mark.parametrize("number", range(15))
def test_increasing_operations_keep_size_and_grow(number: int) -> None:
    operation = augment_ops._INCREASING[number]
    image = picture()
    change = []
    for magnitude in (0.0, 3.0, 10.0):
        result = operation(image, magnitude, CANVAS, np.random.default_rng(3))
        assert (result.size, result.mode) == (image.size, "RGB")
        change.append(np.abs(values(result) - values(image)).mean())
    assert change[0] <= change[1] <= change[2]
    # Autocontrast may find nothing to stretch.
    assert change[2] > 0 or number == 0


def test_fixed_operations_have_the_released_strengths() -> None:
    names = dict(enumerate(augment_ops._FIXED))
    image = Image.new("RGB", (40, 40), (100, 50, 20))
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(values(names[0](image, 7, CANVAS, rng)), values(image))
    assert values(names[3](image, 7, CANVAS, rng))[0, 0].tolist() == [136, 68, 27]
    marked = image.copy()
    marked.putpixel((20, 20), (255, 255, 255))
    for number, axis in ((7, 0), (8, 1)):
        moved = np.argwhere(values(names[number](marked, 7, CANVAS, rng))[:, :, 0] == 255)[0]
        assert abs(moved[1 - axis] - 20) == 7 and moved[axis] == 20


def test_strengths_of_geometry() -> None:
    image = Image.new("RGB", (101, 101))
    image.putpixel((50, 0), (255, 255, 255))
    rotated = augment_ops._rotate(image, 7, CANVAS, np.random.default_rng(0))
    y, x = np.argwhere(values(rotated)[:, :, 0] == 255)[0]
    assert abs(np.degrees(np.arctan2(x - 50, 50 - y))) == pytest.approx(21, abs=1)
    sheared = augment_ops._shear(True)(image, 7, CANVAS, np.random.default_rng(0))
    lower = affine(image, (1, 0.21, 0, 0, 1, 0), CANVAS)
    other = affine(image, (1, -0.21, 0, 0, 1, 0), CANVAS)
    assert any(np.array_equal(values(sheared), values(x)) for x in (lower, other))


def test_outside_is_filled_with_the_mean_colour() -> None:
    config = AugmentConfig(zoom=(0.5, 0.5))
    augmentation = ImageAugmentation(config, (0.485, 0.456, 0.406))
    image = augmentation.on_image(Image.new("RGB", (20, 20)), 20, np.random.default_rng(0))
    assert values(image)[0, 0].tolist() == [124, 116, 104]
    assert values(image)[10, 10].tolist() == [0, 0, 0]


def test_policy_applies_each_operation_with_its_probability() -> None:
    calls = []

    def count(image, magnitude, canvas, rng):  # type: ignore[no-untyped-def]
        calls.append(magnitude)
        return image

    policy = augment_ops.Policy((count,), 2, 9.0, 0.5, CANVAS)
    rng = np.random.default_rng(0)
    for _ in range(500):
        policy(picture(), rng)
    assert 430 < len(calls) < 570
    assert max(calls) <= 10 and 8.9 < np.mean(calls) < 9.1 and 0.4 < np.std(calls) < 0.6
