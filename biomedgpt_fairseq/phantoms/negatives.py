"""The folder of wrong answers, objects and captions that pretraining draws from."""

from __future__ import annotations

from dataclasses import dataclass

from biomedgpt_fairseq.phantoms.case import DEFAULT_SCENE, SCENE_STREAM, row_rng, word
from biomedgpt_fairseq.phantoms.findings import KINDS
from biomedgpt_fairseq.phantoms.modalities import MODALITIES
from biomedgpt_fairseq.phantoms.questions import all_answers, answers_by_type
from biomedgpt_fairseq.phantoms.scene import draw_scene


@dataclass(frozen=True)
class Negatives:
    """Answers by type (type "other" holds all of them), object names, captions."""

    answers: dict[str, list[str]]
    objects: list[str]
    captions: list[str]


def make_negatives(seed: int, first_row: int, rows: int) -> Negatives:
    """The pools that go with rows [first_row, first_row + rows); captions without repetition."""
    captions: dict[str, None] = {}
    for row in range(first_row, first_row + rows):
        scene = draw_scene(row_rng(seed, row, SCENE_STREAM), DEFAULT_SCENE)
        captions[word(seed, row, scene)[0]] = None
    objects = [*KINDS, *(modality.organ for modality in MODALITIES)]
    return Negatives({**answers_by_type(), "other": all_answers()}, objects, list(captions))
