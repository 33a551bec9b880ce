"""Rules of row builders on a small vocabulary; recorded batches are in tests/golden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from biomedgpt_fairseq.data import examples as builders
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.examples import RowOptions, RowTools, compose_decoder
from biomedgpt_fairseq.data.image import HALF
from biomedgpt_fairseq.data.pixels import ImageScale
from biomedgpt_fairseq.text.instructions import get_instruction
from biomedgpt_fairseq.text.trie import AnswerTrie
from biomedgpt_fairseq.text.vocab import Vocabulary

WORDS = Vocabulary(["what", "?", "yes", "no", "left", "lung", "object:", "maybe"], 0, 0)
EOS = Vocabulary.eos
RNG = np.random.default_rng(0)


class WordTokenizer:
    """One token a word."""

    vocab = WORDS

    def encode(self, text: str) -> list[int]:
        return [WORDS.index(word) for word in text.replace("?", " ?").split()]


class Black:
    """Every picture is black."""

    scale = ImageScale(HALF, HALF)

    def __call__(self, cell: str, rng: np.random.Generator) -> torch.Tensor:
        return torch.zeros(3, 2, 2, dtype=torch.uint8)


def tools(name: str, answers: list[str] | None = None) -> RowTools:
    tokenizer = WordTokenizer()
    trie = None
    if answers:
        trie = AnswerTrie([[*tokenizer.encode(answer), EOS] for answer in answers])
    return RowTools(tokenizer, get_instruction(name), Black(), trie)  # type: ignore[arg-type]


VQA_ROW = ["q1", "image", "What", "1.0|!+left lung", "lung"]


@pytest.mark.parametrize(
    ("prompt_type", "prev_output", "target", "prompt"),
    [
        ("none", [0, 7, 8], [7, 8, 2], [0]),
        ("src", [0, 4, 5, 2, 7, 8], [1, 1, 1, 7, 8, 2], [0, 4, 5, 2]),
        ("prev_output", [0, 4, 5, 7, 8], [1, 1, 7, 8, 2], [0, 4, 5]),
    ],
)
def test_decoder_table(
    prompt_type: builders.PromptType, prev_output: list[int], target: list[int], prompt: list[int]
) -> None:
    assert compose_decoder([0, 4, 5, 2], [7, 8, 2], prompt_type) == (prev_output, target, prompt)


def test_answer_without_eos_is_one_target() -> None:
    assert compose_decoder([0, 4, 2], [7], "src") == ([0, 4, 2], [1, 1, 7], [0, 4, 2])


def test_unknown_prompt_type_raises() -> None:
    with pytest.raises(ValueError, match="--prompt-type must be one of none, src, prev_output"):
        compose_decoder([0, 2], [7], "source")  # type: ignore[arg-type]


def test_allowed_ids_are_empty_where_the_prompt_is() -> None:
    options = RowOptions(prompt_type="prev_output")
    example = builders.make_vqa_example(
        VQA_ROW, 0, tools("vqa", ["yes", "left lung"]), options, RNG
    )
    assert example.target.tolist() == [1, 1, 8, 9, EOS]
    assert example.allowed == [[], [], [6, 8], [9], [EOS]]


def test_answer_is_cut_without_a_closed_set_only() -> None:
    options = RowOptions(max_tgt_length=1)
    free = builders.make_vqa_example(VQA_ROW, 0, tools("vqa"), options, RNG)
    closed = builders.make_vqa_example(VQA_ROW, 0, tools("vqa", ["left lung"]), options, RNG)
    assert free.target.tolist() == [8, EOS]
    assert closed.target.tolist() == [8, 9, EOS]


@pytest.mark.parametrize("answers", [["yes", "no"], ["left"], ["left lung yes"]])
def test_answer_outside_the_closed_set_is_named(answers: list[str]) -> None:
    with pytest.raises(BadRow, match="answer 'left lung' is not in the closed answer set"):
        builders.make_vqa_example(VQA_ROW, 0, tools("vqa", answers), RowOptions(), RNG)


def test_unknown_answer_has_no_loss_in_evaluation() -> None:
    options = RowOptions(require_known=False)
    example = builders.make_vqa_example(VQA_ROW, 0, tools("vqa", ["yes"]), options, RNG)
    assert example.target.tolist() == [1, 1, 1]
    assert example.allowed == [[], [], []]
    assert example.target_text == "left lung"
    assert example.references == {"left lung": 1.0}


def test_source_is_cut_to_the_position_tables() -> None:
    row = ["q1", "image", "what " * 30, "1.0|!+left lung", ""]
    options = RowOptions(max_source_positions=8)
    example = builders.make_vqa_example(row, 0, tools("vqa"), options, RNG)
    assert example.source.tolist() == [0] + [4] * 6 + [EOS]
    assert example.truncated
    options = replace(options, prompt_type="src", max_source_positions=99, max_target_positions=9)
    example = builders.make_vqa_example(row, 0, tools("vqa"), options, RNG)
    assert len(example.prev_output) == len(example.target) == 9
    assert example.target.tolist()[-3:] == [8, 9, EOS]


def test_long_answer_keeps_its_end() -> None:
    row = ["c1", "image", "left " * 20]
    options = RowOptions(max_target_positions=6)
    example = builders.make_caption_example(row, 0, tools("caption"), options, RNG)
    assert example.target.tolist() == [8] * 5 + [EOS]
    assert example.truncated


def test_image_is_normalised_on_demand() -> None:
    example = builders.make_vqa_example(VQA_ROW, 0, tools("vqa"), RowOptions(), RNG)
    assert example.image is not None and example.image.dtype == torch.uint8
    assert torch.equal(example.normalized_image(), torch.full((3, 2, 2), -1.0))  # type: ignore[arg-type]


def test_nothing_is_marked_as_cut_when_it_fits() -> None:
    assert not builders.make_vqa_example(VQA_ROW, 0, tools("vqa"), RowOptions(), RNG).truncated


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("vqa", builders.make_vqa_example),
        ("image_classify", builders.make_classify_example),
        ("caption", builders.make_caption_example),
        ("mnli", builders.make_nli_example),
        ("summary", builders.make_summary_example),
    ],
)
def test_missing_columns_are_named(name: str, build) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadRow, match=r"expected \d columns \(.*\), found 1; check --selected-cols"):
        build(["x"], 0, tools(name), RowOptions(), RNG)


def test_id_is_the_row_index_where_the_file_has_none() -> None:
    row = ["image", "left lung"]
    assert (
        builders.make_classify_example(row, 7, tools("image_classify"), RowOptions(), RNG).row_id
        == "7"
    )


def test_caption_references_are_listed_in_evaluation() -> None:
    row = ["c1", "image", "left, lung&&no."]
    options = RowOptions(all_references=True)
    example = builders.make_caption_example(row, 0, tools("caption"), options, RNG)
    assert example.target_text == "left lung&&no"
    assert example.references == {"left lung": 1.0, "no": 1.0}


def test_noise_stays_inside_the_text_vocabulary() -> None:
    row = ["what", "left " * 400]
    options = RowOptions(max_tgt_length=400, noise_ratio=0.5)
    example = builders.make_summary_example(row, 0, tools("summary"), options, RNG)
    changed = example.prev_output[1:] != 8
    assert int(example.prev_output[0]) == 0
    assert 120 < int(changed.sum()) < 230
    assert set(example.prev_output[1:].tolist()) <= set(range(4, WORDS.text_end))
    assert set(example.target.tolist()) == {8, EOS}
