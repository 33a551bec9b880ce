"""What the model sees of a picture with boxes: all of it, possibly mirrored."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from biomedgpt_fairseq.data.box_examples import BoxPictures
from biomedgpt_fairseq.data.boxes import BoxScale
from biomedgpt_fairseq.data.detection import Objects
from biomedgpt_fairseq.data.image import ImageLoader, ImageTransform

SIDE = 32


def pictures(flip: float) -> BoxPictures:
    loader = ImageLoader(ImageTransform(SIDE))
    return BoxPictures(loader, BoxScale(SIDE, SIDE, SIDE + 1), flip=flip)


def white_box() -> tuple[Image.Image, Objects]:
    """A picture of 96 x 64 pixels, black but for what is in its box."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[16:32, 6:36] = 255
    return Image.fromarray(pixels), Objects(np.array([[6.0, 16.0, 36.0, 32.0]]), ["mass"])


@pytest.mark.parametrize(("flip", "x0", "x1"), [(0.0, 2, 12), (1.0, 20, 30)])
def test_boxes_move_with_the_mirrored_picture(flip: float, x0: int, x1: int) -> None:
    image, objects = white_box()

    seen, bins, names = pictures(flip).view(image, objects, np.random.default_rng(1))

    assert seen.size == (SIDE, SIDE) and names == ["mass"]
    assert bins.tolist() == [[x0, 8, x1, 16]]
    white = np.argwhere(np.asarray(seen)[..., 0] > 128)
    assert [*white.min(axis=0)[::-1], *white.max(axis=0)[::-1] + 1] == [x0, 8, x1, 16]


def test_the_share_of_mirrored_pictures_is_the_probability() -> None:
    image, objects = white_box()
    rng = np.random.default_rng(1)
    views = [pictures(0.25).view(image, objects, rng)[1][0, 0] for _ in range(400)]

    assert set(views) == {2, 20}
    assert np.mean(np.array(views) == 20) == pytest.approx(0.25, abs=0.07)


def test_no_random_number_is_drawn_without_flips() -> None:
    rng = np.random.default_rng(1)
    pictures(0.0).view(*white_box(), rng)

    assert rng.random() == np.random.default_rng(1).random()
