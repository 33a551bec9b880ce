"""A case: one synthetic image with everything that can be said about it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from biomedgpt_fairseq.phantoms.canvas import Rng
from biomedgpt_fairseq.phantoms.findings import NO_FINDING
from biomedgpt_fairseq.phantoms.question_wordings import WordingSet
from biomedgpt_fairseq.phantoms.questions import Question, Wish, draw_wish, questions_about
from biomedgpt_fairseq.phantoms.scene import (
    Box,
    Pixels,
    Scene,
    SceneOptions,
    draw_scene,
    draw_scene_where,
    place_findings,
    render,
)
from biomedgpt_fairseq.phantoms.wording import Report, make_caption, make_report

# Separate streams: a change of the wording must not change the pixels.
SCENE_STREAM, PIXEL_STREAM, WORD_STREAM, WISH_STREAM, ORDER_STREAM = range(5)

_LIMIT = 2**32

DEFAULT_SCENE = SceneOptions()
DEFAULT_CLASSES = (
    NO_FINDING,
    "mass",
    "effusion",
    "fracture",
    "calcification",
    "haemorrhage",
)


@dataclass(frozen=True)
class Case:
    """One image and its texts. Boxes are in pixels, in the order of the scene's findings."""

    row: int
    scene: Scene
    image: Pixels
    boxes: list[Box]
    caption: str
    questions: list[Question]
    report: Report

    @property
    def label(self) -> str:
        """Kind of the first finding, or "no finding"."""
        return self.scene.label


def row_rng(seed: int, row: int, stream: int) -> Rng:
    """The random numbers of one row; (seed, row, stream) decide everything."""
    # numpy splits larger numbers into several words, which could meet those of another row.
    if not (0 <= seed < _LIMIT and 0 <= row < _LIMIT):
        raise ValueError(f"seed and row must be in [0, 2**32), found seed {seed}, row {row}")
    return np.random.default_rng([seed, row, stream])


def make_case(seed: int, row: int, side: int = 64, options: SceneOptions = DEFAULT_SCENE) -> Case:
    """Case number `row` of the endless sequence that `seed` stands for."""
    return complete(seed, row, side, draw_scene(row_rng(seed, row, SCENE_STREAM), options))


def complete(seed: int, row: int, side: int, scene: Scene) -> Case:
    """A case with this scene: draws the image and words the texts."""
    image, boxes = render(scene, side, row_rng(seed, row, PIXEL_STREAM))
    caption, questions, report = word(seed, row, scene)
    return Case(row, scene, image, boxes, caption, questions, report)


def word(
    seed: int, row: int, scene: Scene, wordings: WordingSet = "plain"
) -> tuple[str, list[Question], Report]:
    """Caption, questions and report of a scene, without its image."""
    words = row_rng(seed, row, WORD_STREAM)
    caption, questions = make_caption(scene, words), questions_about(scene, words, wordings)
    return caption, questions, make_report(scene, words)


def balanced_choice(seed: int, row: int, count: int) -> int:
    """A number below `count`; every run of `count` rows has each number once, in random order."""
    order = row_rng(seed, row // count, ORDER_STREAM).permutation(count)
    return int(order[row % count])


def draw_class_scene(seed: int, row: int, classes: tuple[str, ...] = DEFAULT_CLASSES) -> Scene:
    """A scene with at most one finding whose label is equally often each of the classes."""
    label = classes[balanced_choice(seed, row, len(classes))]
    rng = row_rng(seed, row, SCENE_STREAM)
    modalities = DEFAULT_SCENE.modalities
    modality = modalities[int(rng.integers(len(modalities)))]
    return Scene(modality, place_findings(rng, [] if label == NO_FINDING else [label]))


def draw_question_scene(seed: int, row: int, wordings: WordingSet = "plain") -> tuple[Wish, Scene]:
    """A question with its answer, and a scene of which the answer is true."""
    wish = draw_wish(row_rng(seed, row, WISH_STREAM), wordings)
    rng = row_rng(seed, row, SCENE_STREAM)
    return wish, draw_scene_where(rng, DEFAULT_SCENE, wish.fits)


def png_base64(pixels: Pixels) -> str:
    """The image as a PNG file in base64."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
