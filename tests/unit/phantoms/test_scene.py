"""Scenes and their drawing."""

import time

import numpy as np
import pytest

from biomedgpt_fairseq.phantoms.case import complete, draw_class_scene, make_case, row_rng
from biomedgpt_fairseq.phantoms.findings import KINDS
from biomedgpt_fairseq.phantoms.modalities import MODALITIES, Modality
from biomedgpt_fairseq.phantoms.scene import (
    Scene,
    SceneOptions,
    draw_scene,
    draw_scene_where,
    place_findings,
    render,
)


def test_case_is_equal_when_made_again() -> None:
    first, again = make_case(3, 17), make_case(3, 17)

    assert np.array_equal(first.image, again.image)
    assert (first.scene, first.boxes, first.caption) == (again.scene, again.boxes, again.caption)
    assert (first.questions, first.report) == (again.questions, again.report)


def test_case_differs_when_seed_or_row_differs() -> None:
    first = make_case(3, 17)

    assert first.image.tobytes() != make_case(4, 17).image.tobytes()
    assert first.image.tobytes() != make_case(3, 18).image.tobytes()


@pytest.mark.parametrize("side", [16, 64, 100])
def test_image_has_the_wanted_side(side: int) -> None:
    for modality in MODALITIES:
        image, _ = render(Scene(modality, ()), side, row_rng(1, 0, 0))
        assert image.shape[:2] == (side, side)
        assert image.dtype == np.uint8
        assert image.std() > 10


@pytest.mark.parametrize("modality", MODALITIES, ids=lambda modality: modality.name)
@pytest.mark.parametrize("kind", KINDS)
def test_finding_stands_out_inside_its_box(modality: Modality, kind: str) -> None:
    side = 64
    scene = Scene(modality, place_findings(row_rng(2, 5, 0), [kind]))
    image, [(x0, y0, x1, y1)] = render(scene, side, row_rng(2, 5, 1))

    assert 0 <= x0 < x1 <= side and 0 <= y0 < y1 <= side
    finding = scene.findings[0]
    assert x0 <= finding.centre[0] * side <= x1 and y0 <= finding.centre[1] * side <= y1
    patch = image[y0:y1, x0:x1].astype(float)
    assert patch.max() - patch.min() > 60, "a finding must stand out"


def test_findings_of_one_scene_have_different_kinds_and_places() -> None:
    for row in range(100):
        findings = draw_scene(row_rng(1, row, 0), SceneOptions()).findings
        assert len({finding.kind for finding in findings}) == len(findings)
        assert len({finding.place for finding in findings}) == len(findings)


def test_class_scenes_are_balanced_in_every_block() -> None:
    labels = [draw_class_scene(1, row).label for row in range(60)]

    assert {labels.count(label) for label in labels} == {10}
    assert labels[:6] != labels[6:12]


def test_render_makes_200_images_in_a_second() -> None:
    started = time.process_time()
    for row in range(100):
        complete(1, row, 64, draw_class_scene(1, row))

    assert time.process_time() - started < 0.5


def test_wish_that_no_scene_fits_is_an_error() -> None:
    with pytest.raises(ValueError, match="no scene fits"):
        draw_scene_where(row_rng(1, 0, 0), SceneOptions(), lambda scene: len(scene.findings) > 2)


def test_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown finding 'polyp'; known: mass, nodule"):
        SceneOptions(kinds=("polyp", "mass"))


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[0, 2\*\*32\)"):
        make_case(1, 2**32)
    with pytest.raises(ValueError, match="at least 16 pixels"):
        make_case(1, 0, side=8)
