from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from biomedgpt_fairseq.data.composition import Example
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.infill_rows import (
    make_image_examples,
    make_text_examples,
    marked_tokens,
    parse_codes,
    without_middle,
)

CODE0 = 4 + 257 + 1
MASK = CODE0 - 1
CODES = " ".join(str(i) for i in range(16))


def make_text(tools: Any, text: str, seed: int = 0, **options: Any) -> Example:
    (example,) = make_text_examples(["t1", text], *tools(**options), np.random.default_rng(seed))
    return example


def make_image(tools: Any, cell: str, codes: str, **options: Any) -> Example:
    row = ["i1", cell, codes]
    (example,) = make_image_examples(row, *tools(**options), np.random.default_rng(0))
    return example


def test_text_is_lower_case_and_corrupted_inside_the_quotation_marks(
    pretrain_tools: Any, byte_tokenizer: Any
) -> None:
    encode = byte_tokenizer.encode
    example = make_text(pretrain_tools, "  Aspirin inhibits COX of platelets and so on ")
    text = encode(" aspirin inhibits cox of platelets and so on")
    assert example.target.tolist() == [*text, 2]
    assert example.prev_output.tolist() == [0, *text]
    source = example.source.tolist()
    before, after = [0, *encode(' what is the complete text of "')], [*encode(' "?'), 2]
    assert source[: len(before)] == before and source[-len(after) :] == after
    inner = source[len(before) : -len(after)]
    assert MASK in inner and inner != text
    rest = iter(text)
    assert all(token in rest for token in inner if token != MASK)


def test_text_has_a_blank_picture_that_is_not_real(pretrain_tools: Any) -> None:
    example = make_text(pretrain_tools, "a text")
    assert example.image is not None and example.image.shape == (3, 64, 64)
    assert not example.image.any() and not example.image_is_real
    assert (example.is_code, example.conf) == (False, 2.0)
    assert make_text(pretrain_tools, "a text", training=False).conf == 1.0


def test_of_long_texts_the_second_half_of_the_head_is_kept(
    pretrain_tools: Any, byte_tokenizer: Any
) -> None:
    text = " ".join(f"w{i}" for i in range(400))
    example = make_text(pretrain_tools, text)
    assert example.target.tolist() == [*byte_tokenizer.encode(" " + text)[256:512], 2]


@pytest.mark.parametrize("text", ["", "   "])
def test_empty_text_is_a_bad_row(pretrain_tools: Any, text: str) -> None:
    with pytest.raises(BadRow, match="the text is empty"):
        make_text(pretrain_tools, text)


def test_marks_of_the_user_stand_where_training_has_masks(byte_tokenizer: Any) -> None:
    encode = byte_tokenizer.encode
    found = marked_tokens(" A <mask> b<mask>  <MASK>c ", encode, MASK)
    assert found == [*encode(" a"), MASK, *encode(" b"), MASK, MASK, *encode("c")]
    assert marked_tokens("<mask> end", encode, MASK) == [MASK, *encode(" end")]
    assert marked_tokens("plain", encode, MASK) == encode(" plain")


def test_text_of_the_user_is_not_cut(byte_tokenizer: Any) -> None:
    with pytest.raises(BadRow, match="the text has 257 tokens and pretraining reads 256 at most"):
        marked_tokens("x" * 256, byte_tokenizer.encode, MASK)
    assert len(marked_tokens("x" * 255, byte_tokenizer.encode, MASK)) == 256


def test_image_target_is_the_codes_and_its_middle_is_grey(
    pretrain_tools: Any, png: Callable[..., str], byte_tokenizer: Any
) -> None:
    example = make_image(pretrain_tools, png(64, 64), CODES)
    assert example.target.tolist() == [*range(CODE0, CODE0 + 16), 2]
    asked = byte_tokenizer.encode(" what is the image in the middle part?")
    assert example.source.tolist() == [0, *asked, 2]
    assert (example.is_code, example.conf, example.image_is_real) == (True, 2.0, True)
    image = example.image
    assert image is not None and image.dtype == torch.float32
    assert not image[:, 16:48, 16:48].any()
    outside = torch.ones(64, 64, dtype=torch.bool)
    outside[16:48, 16:48] = False
    assert image[:, outside].abs().min() > 0.1


def test_middle_is_half_of_the_side() -> None:
    image = torch.ones(3, 256, 256)
    hollow = without_middle(image)
    assert hollow.sum() == 3 * (256**2 - 128**2)
    assert hollow[:, 64:192, 64:192].sum() == 0 and image.min() == 1


@pytest.mark.parametrize("size", [(64, 63), (32, 32), (128, 128)])
def test_picture_of_another_size_is_a_bad_row(
    pretrain_tools: Any, png: Callable[..., str], size: tuple[int, int]
) -> None:
    with pytest.raises(BadRow, match=rf"64 x 64 .*found {size[0]} x {size[1]}"):
        make_image(pretrain_tools, png(*size), CODES)


@pytest.mark.parametrize("count", [0, 15, 17, 256])
def test_grid_of_another_size_is_a_bad_row(count: int) -> None:
    with pytest.raises(BadRow, match=rf"expected 16 codes, a grid of 4 x 4, found {count}"):
        parse_codes(" ".join("0" * count), 16, 64)


@pytest.mark.parametrize("code", ["64", "-1", "x", "1.5", "\u0661"])
def test_code_out_of_range_is_a_bad_row(code: str) -> None:
    cell = " ".join([*"0" * 15, code])
    with pytest.raises(BadRow, match="expected codes from 0 to 63, found .*--code-dict-size"):
        parse_codes(cell, 16, 64)


def test_vocabulary_without_codes_is_told() -> None:
    with pytest.raises(BadRow, match="no image codes; --code-dict-size must be positive"):
        parse_codes("0 " * 16, 16, 0)
