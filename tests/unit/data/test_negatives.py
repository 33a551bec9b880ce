from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.negatives import Negatives, load_negatives

DRAWS = 600


def answers(pools: Negatives, known: list[str], conf: float) -> Counter[str]:
    return Counter(pools.answer(known, conf, np.random.default_rng(i)) for i in range(DRAWS))


def captions(pools: Negatives, caption: str, objects: list[str]) -> Counter[str]:
    return Counter(
        pools.caption(caption, objects, 30, np.random.default_rng(i)) for i in range(DRAWS)
    )


def test_confident_answers_mostly_give_one_of_their_type(negatives: Negatives) -> None:
    found = answers(negatives, ["heart"], 1.0)
    # u + 0.1 < 1: nine of ten draws; "left lung" is also one of three of the type `other`.
    assert set(found) == {"left lung", "ct", "mri"}
    assert found["left lung"] / DRAWS == pytest.approx(0.9 + 0.1 / 3, abs=0.04)


def test_doubtful_answers_rarely_give_one_of_their_type(negatives: Negatives) -> None:
    found = answers(negatives, ["heart"], 0.3)
    assert found["left lung"] / DRAWS == pytest.approx(0.2 + 0.8 / 3, abs=0.08)


def test_answers_without_type_give_others(negatives: Negatives) -> None:
    found = answers(negatives, ["mri"], 1.0)
    assert set(found) == {"ct", "left lung"}
    assert min(found.values()) > 0.4 * DRAWS


@pytest.mark.parametrize("right", ["0", "1", "3"])
def test_numbers_give_neighbours_and_never_fall_below_zero(
    negatives: Negatives, right: str
) -> None:
    found = answers(negatives, [right], 1.0)
    assert right not in found and "-1" not in found
    assert str(int(right) + 1) in found
    assert found[str(int(right) + 1)] > 0.2 * DRAWS


def test_no_reference_is_drawn_whatever_its_case(negatives: Negatives) -> None:
    found = answers(negatives, ["2", "3", "1"], 1.0)
    assert not found.keys() & {"1", "2", "3"}
    assert set(answers(negatives, ["Left Lung", "CT"], 1.0)) == {"mri"}
    assert set(answers(negatives, [" yes "], 1.0)) <= {"no", "ct", "left lung", "mri"}


def test_answer_falls_back_to_others_when_its_type_has_no_other(negatives: Negatives) -> None:
    assert set(answers(negatives, ["yes", "no"], 1.0)) == {"ct", "left lung", "mri"}


def test_pools_without_another_answer_are_an_error(negatives: Negatives) -> None:
    with pytest.raises(BadRow, match=r"no answer of type 'other' other than this row's 'ct'"):
        negatives.answer(["ct", "mri", "left lung"], 0.0, np.random.default_rng(0))


def test_captions_exchange_an_object_in_two_of_five(negatives: Negatives) -> None:
    found = captions(negatives, "Enlarged Heart and ribs", ["heart", "spine"])
    swapped = found["enlarged lung and ribs"] + found["enlarged kidney and ribs"]
    assert swapped / DRAWS == pytest.approx(0.4, abs=0.06)
    assert found["enlarged heart and ribs"] == 0
    assert sum(found[text] for text in negatives.captions) == DRAWS - swapped


def test_captions_that_name_no_object_come_from_the_pool(negatives: Negatives) -> None:
    assert set(captions(negatives, "hearts", ["heart"])) == set(negatives.captions)
    assert set(captions(negatives, "a film", [])) == set(negatives.captions)


def test_own_caption_is_never_drawn(negatives: Negatives) -> None:
    found = captions(negatives, "CT of the abdomen ", [])
    assert set(found) == {"a chest film", "mri of the brain"}
    assert min(found.values()) > 0.35 * DRAWS


def test_captions_equal_in_their_first_words_count_as_equal(negatives: Negatives) -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        assert negatives.caption("a chest film", [], 1, rng) in ("ct", "mri")


def test_pool_without_another_caption_is_an_error(negatives: Negatives) -> None:
    single = Negatives(negatives.answers, negatives.objects, ["A film"], {})
    with pytest.raises(BadRow, match="no caption other than this row's 'a film'"):
        single.caption("a film", [], 30, np.random.default_rng(0))


def write(folder: Path, **files: str) -> Path:
    content = {"type2ans.json": '{"other": ["a"]}', "object.txt": "x\n", "all_captions.txt": "c\n"}
    for name, text in {**content, **files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_folder_is_read(tmp_path: Path) -> None:
    types = {"other": ["a", "b"], "how many": ["1"], "colour": ["red", "a"]}
    pools = load_negatives(
        write(tmp_path, **{"type2ans.json": json.dumps(types), "object.txt": "lung\r\n\nrib\n"})
    )
    assert pools.objects == ["lung", "rib"]
    assert pools.type_of == {"1": "how many", "red": "colour", "a": "colour"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("type2ans.json", "{", "not valid JSON"),
        ("type2ans.json", "[]", "must map types to lists"),
        ("type2ans.json", '{"colour": ["red"]}', "with the type 'other'"),
        ("type2ans.json", '{"other": []}', "with the type 'other'"),
        ("type2ans.json", '{"other": [1]}', "must map types to lists"),
        ("object.txt", "\n \n", r"object\.txt is empty"),
        ("all_captions.txt", "", r"all_captions\.txt is empty"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_negatives(write(tmp_path, **{name: text}))


def test_missing_files_are_named(tmp_path: Path) -> None:
    (write(tmp_path) / "object.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks object\.txt; it must hold type2ans\.json"):
        load_negatives(tmp_path)
