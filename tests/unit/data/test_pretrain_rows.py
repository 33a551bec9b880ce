from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from biomedgpt_fairseq.data.boxes import parse_box
from biomedgpt_fairseq.data.composition import RowOptions
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.pair_images import PairImages
from biomedgpt_fairseq.data.pretrain_parts import Examples, PretrainOptions
from biomedgpt_fairseq.data.pretrain_rows import make_pair_examples
from biomedgpt_fairseq.text.instructions import get_instruction

BIN0 = 4 + 257 + 1 + 64
KINDS = ("caption", "qa", "visual_grounding")


@pytest.fixture
def row(png: Callable[..., str]) -> Callable[..., list[str]]:
    def make(kind: str, **cells: str) -> list[str]:
        base = {
            "caption": {"caption": "CT of the Heart/lung", "objects": "heart&&aorta"},
            "qa": {"question": "Is it a CT-scan?", "references": "0.8|!+yes&&0.1|!+ct"},
            "visual_grounding": {"caption": "White square", "references": "8,8,16,16"},
        }.get(kind, {})
        filled = {"id": "u1", "image": png(48, 40), "dataset": "roco", **base, **cells}
        names = ("id", "image", "caption", "question", "references", "objects", "dataset")
        return [*(filled.get(name, "") for name in names), kind]

    return make


def make(tools: Any, cells: list[str], seed: int = 0, **options: Any) -> Examples:
    return make_pair_examples(cells, *tools(**options), np.random.default_rng(seed))


def texts(example: Any, tokenizer: Any) -> tuple[str, str]:
    return tokenizer.decode(example.source), tokenizer.decode(example.target)


def test_caption_row_asks_for_the_caption(
    pretrain_tools: Any, row: Any, byte_tokenizer: Any
) -> None:
    first, second = make(pretrain_tools, row("caption"))
    assert texts(first, byte_tokenizer) == (
        " what does the image describe?",
        " ct of the heart lung",
    )
    assert first.prev_output.tolist() == [0, *first.target.tolist()[:-1]]
    assert (first.conf, first.is_code, first.image_is_real) == (1.0, None, True)
    assert first.row_id == second.row_id == "u1"
    assert first.image is second.image


def test_matching_asks_about_the_true_caption_or_another(
    pretrain_tools: Any, row: Any, byte_tokenizer: Any
) -> None:
    verdicts: Counter[str] = Counter()
    for seed in range(200):
        _, second = make(pretrain_tools, row("caption"), seed)
        source, verdict = texts(second, byte_tokenizer)
        shown = source.removeprefix(' does the image describe " ').removesuffix(' "?')
        assert (shown == "ct of the heart lung") == (verdict == " yes")
        assert verdict in (" yes", " no") and second.conf == 1.0
        verdicts[verdict] += 1
    assert verdicts[" yes"] == pytest.approx(100, abs=30)


def test_caption_and_matching_have_limits_of_their_own(
    pretrain_tools: Any, row: Any, byte_tokenizer: Any
) -> None:
    limits = RowOptions(max_src_length=3, max_tgt_length=2)
    for seed in range(20):
        first, second = make(pretrain_tools, row("caption"), seed, rows=limits)
        assert texts(first, byte_tokenizer)[1] == " ct of"
        source, verdict = texts(second, byte_tokenizer)
        assert ('" ct of the "' in source) == (verdict == " yes")


def test_head_of_one_data_set_is_left_out_of_the_loss(pretrain_tools: Any, row: Any) -> None:
    plain, _ = make(pretrain_tools, row("caption"))
    skipped, _ = make(pretrain_tools, row("caption", dataset="cc12m"))
    assert skipped.target[:2].tolist() == [1, 1]
    assert torch.equal(skipped.target[2:], plain.target[2:])
    assert torch.equal(skipped.prev_output, plain.prev_output)


def test_question_row_asks_and_verifies_with_its_confidence(
    pretrain_tools: Any, row: Any, byte_tokenizer: Any
) -> None:
    verdicts: Counter[str] = Counter()
    for seed in range(200):
        first, second = make(pretrain_tools, row("qa"), seed)
        assert texts(first, byte_tokenizer) == (" is it a ct scan?", " yes")
        source, verdict = texts(second, byte_tokenizer)
        head = ' what is the answer to question " is it a ct scan? ". is " '
        shown = source.removeprefix(head).removesuffix(' "?')
        assert (shown == "yes") == (verdict == " yes")
        assert shown != "ct"  # a reference too
        assert first.conf == second.conf == 0.8
        verdicts[verdict] += 1
    assert verdicts[" yes"] == pytest.approx(100, abs=30)


def test_region_row_asks_where_and_what(pretrain_tools: Any, row: Any, byte_tokenizer: Any) -> None:
    for seed in range(10):
        where, what = make(pretrain_tools, row("visual_grounding"), seed)
        bins = where.target.tolist()[:-1]
        assert len(bins) == 4 and all(BIN0 <= b <= BIN0 + round(32 / 512 * 999) for b in bins)
        encode = byte_tokenizer.encode
        asked = encode(' which region does the text " white square " describe?')
        assert where.source.tolist() == [0, *asked, 2]
        told = encode("  what does the region describe? region:")
        assert what.source.tolist() == [0, *told, *bins, 2]
        assert texts(what, byte_tokenizer)[1] == " white square"
        assert where.conf == what.conf == 1.0


def test_outside_training_there_are_no_questions_about_texts(pretrain_tools: Any, row: Any) -> None:
    counts = [len(make(pretrain_tools, row(kind), training=False)) for kind in KINDS]
    assert counts == [1, 1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_same_generator_gives_the_same_examples(pretrain_tools: Any, row: Any, kind: str) -> None:
    for left, right in zip(
        make(pretrain_tools, row(kind), 5), make(pretrain_tools, row(kind), 5), strict=True
    ):
        assert torch.equal(left.source, right.source)
        assert left.image is not None and right.image is not None
        assert torch.equal(left.image, right.image)


def test_pictures_vary_in_training_and_not_elsewhere() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 48, 3), np.uint8)
    for training, expected in ((True, 8), (False, 1)):
        images = PairImages(32, training)
        drawn = [
            images.plain(Image.fromarray(noise), np.random.default_rng(seed)) for seed in range(8)
        ]
        assert {image.size for image in drawn} == {(32, 32)}
        assert len({image.tobytes() for image in drawn}) == expected


def test_box_stays_on_its_square_in_random_crops() -> None:
    pixels = np.full((100, 140, 3), 60, np.uint8)
    pixels[20:60, 90:130] = 255
    sides = set()
    for seed in range(40):
        picture, box = PairImages(64, True).with_box(
            Image.fromarray(pixels), parse_box("90,20,130,60"), np.random.default_rng(seed)
        )
        bright = np.array(picture.convert("L")) > 160
        rows, cols = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
        found = np.array([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1])
        assert picture.size == (64, 64)
        assert np.abs(found - box[0]).max() <= 1.6
        sides.add(round(float(box[0, 2] - box[0, 0])))
    assert len(sides) > 5


def test_box_as_large_as_the_picture_fills_the_crop() -> None:
    for size in ((48, 200), (300, 40), (64, 64)):
        picture, box = PairImages(64, True).with_box(
            Image.new("RGB", size), parse_box(f"0,0,{size[0]},{size[1]}"), np.random.default_rng(1)
        )
        assert picture.size == (64, 64) and box.tolist() == [[0, 0, 64, 64]]


def test_resized_sides_reach_from_the_crop_to_the_limit() -> None:
    images = PairImages(400, True)
    sizes = [
        images._random_size(Image.new("RGB", (100, 200)), np.random.default_rng(i)).size
        for i in range(200)
    ]
    shorts = [short for short, _ in sizes]
    assert min(shorts) < 405 and max(shorts) > 475 and max(shorts) <= 480
    assert {long for _, long in sizes} == {672}  # twice the short side would be more


def test_crop_larger_than_the_largest_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="--patch-image-size must be at most 480"):
        PairImages(512, True)
    assert PairImages(512, False).size == 512


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_paraphrases_replace_their_share(
    pretrain_tools: Any, row: Any, byte_tokenizer: Any, share: float
) -> None:
    released = get_instruction("caption").template
    found = Counter(
        texts(make(pretrain_tools, row("caption"), seed, variants=share)[0], byte_tokenizer)[0]
        for seed in range(200)
    )
    assert found[released] == pytest.approx(200 * (1 - share), abs=40 if share == 0.5 else 0)
    assert found.keys() - {released} <= set(get_instruction("caption").paraphrases)
    assert share == 0 or len(found) > 3


@pytest.mark.parametrize(
    ("kind", "cells", "message"),
    [
        ("caption", {"caption": ""}, "the caption is empty"),
        ("caption", {"caption": " - "}, "the caption is empty"),
        ("qa", {"question": " "}, "the question is empty"),
        ("qa", {"references": "yes"}, r"expected references as confidence\|!\+answer"),
        ("visual_grounding", {"references": "8,8,60,16"}, "outside of the picture of 48 x 40"),
        ("visual_grounding", {"references": "8,8,8,16"}, "has no area"),
        ("visual_grounding", {"references": "8,8"}, "expected a box"),
        ("visual_grounding", {"caption": ""}, "the caption is empty"),
        ("poem", {}, "expected type caption, qa, visual_grounding, found 'poem'"),
        ("caption", {"image": "x"}, "expected an image as base64"),
    ],
)
def test_bad_rows_say_what_is_wrong(
    pretrain_tools: Any, row: Any, kind: str, cells: dict[str, str], message: str
) -> None:
    with pytest.raises(BadRow, match=message):
        make(pretrain_tools, row(kind, **cells))


def test_row_of_another_width_is_a_bad_row(pretrain_tools: Any, row: Any) -> None:
    with pytest.raises(BadRow, match=r"expected 8 columns \(id, image, .*found 7; .*selected-cols"):
        make(pretrain_tools, row("qa")[:7])


def test_pairs_need_wrong_texts_in_training(pretrain_tools: Any, row: Any) -> None:
    tools, options = pretrain_tools()
    without = replace(tools, negatives=None)
    with pytest.raises(ValueError, match="--neg-sample-dir"):
        for seed in range(20):
            make_pair_examples(row("qa"), without, options, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variants": 1.1}, "--instruction-variants must lie"),
        ({"flip": -1.0}, "--detection-flip must lie"),
        ({"code_image_size": 12}, "--code-image-size must be a multiple of 8"),
        ({"code_image_size": 0}, "--code-image-size must be a multiple of 8"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PretrainOptions(**options)


def test_released_code_image_has_256_codes_in_a_picture_of_256_pixels() -> None:
    assert (PretrainOptions().side, PretrainOptions().num_codes_per_image) == (256, 256)
