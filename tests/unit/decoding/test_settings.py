"""Options of a search: defaults, errors, fairseq's complete group."""

from __future__ import annotations

from typing import Any

import pytest

from biomedgpt_fairseq.decoding.settings import GenerationSettings, parse_settings


def test_defaults_are_those_of_the_recipes() -> None:
    settings = parse_settings({})

    assert (settings.beam, settings.max_len_a, settings.max_len_b, settings.min_len) == (
        5,
        0,
        200,
        1,
    )
    assert (settings.lenpen, settings.unkpen, settings.temperature) == (1, 0, 1)
    assert not settings.unnormalized and settings.no_repeat_ngram_size == 0


def test_whole_numbers_may_stand_for_decimals_and_none_for_the_default() -> None:
    settings = parse_settings({"lenpen": 2, "beam": None, "sampling_seed": 7, "sampling": True})

    assert settings == GenerationSettings(lenpen=2.0, sampling_seed=7, sampling=True)


def test_unknown_option_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown generation options beams; known are beam, "):
        parse_settings({"beams": 3})


def test_complete_option_group_of_fairseq_is_taken() -> None:
    group = {"_name": None, "nbest": 1, "prefix_size": 0, "beam": 3, "sacrebleu": False}

    assert parse_settings({**group, "constraints": None}) == GenerationSettings(beam=3)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("constraints", "ordered", "closed answer set"),
        ("lm_path", "lm.pt", "language model"),
        ("print_alignment", "hard", "alignments"),
        ("retain_dropout", True, "dropout"),
    ],
)
def test_refused_option_says_why(name: str, value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=f"{name}.* is not supported: .*{reason}"):
        parse_settings({name: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": "5"}, "'beam' must be int, found '5'"),
        ({"beam": True}, "'beam' must be int, found True"),
        ({"unnormalized": 1}, "'unnormalized' must be bool"),
        ({"sampling_seed": 1.5}, "'sampling_seed' must be int"),
        ({"beam": 0}, "beam must be at least 1"),
        ({"temperature": 0}, "temperature must be greater than 0"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size"),
        ({"sampling_topk": 5}, "need sampling"),
        ({"sampling": True, "sampling_topk": 5, "sampling_topp": 0.9}, "only one of sampling_topk"),
        ({"sampling": True, "sampling_topp": 1.5}, "must not exceed 1"),
        ({"beam": 5, "diverse_beam_groups": 2}, "multiple of diverse_beam_groups"),
        ({"sampling": True, "diversity_rate": 0.5}, "found sampling and diversity_rate"),
        ({"match_source_len": True, "diverse_beam_groups": 5}, "only one of"),
    ],
)
def test_meaningless_options_raise(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_settings(options)
