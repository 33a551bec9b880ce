"""Rows of evaluation files in pretraining files: made-up leaks, and clean data."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("imagehash")

from biomedgpt_fairseq.data.tsv import TsvReader
from data_utils.pretraining import decontaminate
from data_utils.pretraining.evaluation_rows import TextIndex
from tests.unit.data_utils.pretraining.smooth_pictures import cell, picture

QUESTION = "which of the two lungs shows a large opacity in the lower zone of this x-ray ?"
ABSTRACT = " ".join(f"word{number}" for number in range(60)) + " ."


def write(path: Path, rows: list[tuple[str, ...]]) -> Path:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def clean(train: list[Path], kind: str, against: list[Path], *words: str) -> dict[str, Any]:
    """Ids of what is left of each file, and its report."""
    output = train[0].parent / "clean"
    line = [*map(str, train), "--rows", kind, "--output", str(output), *words]
    line += ["--against", *map(str, against)]
    decontaminate.run(decontaminate.build_parser().parse_args(line))
    found = {}
    for path in train:
        target = output / path.name
        ids = [row[0] for row in TsvReader(str(target))] if target.exists() else []
        report = json.loads(target.with_suffix(".removed.json").read_text("utf-8"))
        found[path.stem] = ids, report
    return found


@pytest.fixture
def vqa(tmp_path: Path) -> Path:
    """Rows as of vqa_gen: id, image id, question, references, objects, picture."""
    rows = [("0", "7.png", QUESTION, "1|!+left", "", cell(picture(100)))]
    rows += [(str(n), "8.png", "is it ?", "1|!+no", "", cell(picture(100 + n))) for n in (1, 2)]
    return write(tmp_path / "vqa_test.tsv", rows)


def test_pictures_are_found_in_any_encoding_and_size(tmp_path: Path, vqa: Path) -> None:
    leaked = picture(100)
    rows = [
        ("same", cell(leaked)),
        ("other file", cell(leaked, format="BMP")),
        ("jpeg", cell(leaked, format="JPEG", quality=90)),
        ("square", cell(picture(101).resize((256, 300)))),
        ("bright", cell(picture(102).point(lambda value: min(255, value + 6)))),
        *((f"clean{seed}", cell(picture(seed))) for seed in range(20)),
    ]

    ids, report = clean([write(tmp_path / "p.tsv", rows)], "pictures", [vqa])["p"]

    assert ids == [f"clean{seed}" for seed in range(20)]
    assert report["reasons"] == {"same picture": 2, "like picture": 3}
    assert [fact["evaluation"]["row"] for fact in report["removed"]] == [1, 1, 1, 2, 3]
    assert report["removed"][0] == {
        "row": 1,
        "id": "same",
        "reason": "same picture",
        "evaluation": {"file": str(vqa), "row": 1},
    }
    assert report["options"]["evaluation"] == {"pictures": 3, "texts": 1}


def test_texts_are_found_inside_of_others_and_in_parts(tmp_path: Path) -> None:
    pairs = write(tmp_path / "nli.tsv", [(ABSTRACT, "a short text", "0"), (QUESTION, "b", "1")])
    words = ABSTRACT.split()
    shuffled = random.Random(0).sample(words, len(words))
    rows = [
        ("same", ABSTRACT.upper()),
        ("inside", f"before it {ABSTRACT} and much more behind it " + "x y z " * 30),
        ("part", " ".join(words[10:24])),
        ("changed", ABSTRACT.replace("word30", "another")),
        ("question", f"q: {QUESTION.replace('?', '')} left"),
        ("too short", "a short text"),
        ("some words", " ".join(words[:9]) + " something else that is not there at all , no"),
        ("shuffled", " ".join(shuffled)),
        ("clean", "the heart is of normal size and there is no effusion in this patient"),
    ]

    ids, report = clean([write(tmp_path / "t.tsv", rows)], "texts", [pairs])["t"]

    assert ids == ["too short", "some words", "shuffled", "clean"]
    assert [fact["evaluation"]["row"] for fact in report["removed"]] == [1, 1, 1, 1, 2]
    assert report["removed"][3]["overlap"] == pytest.approx(45 / 53, abs=0.001)


def test_clean_files_stay_byte_for_byte(tmp_path: Path, vqa: Path) -> None:
    rows = [
        (str(n), cell(picture(n)), "", "is it large ?", "1|!+no", "", "set", "qa") for n in range(6)
    ]
    train = [write(tmp_path / f"{name}.tsv", rows) for name in ("one", "two")]

    found = clean(train, "pairs", [vqa])

    for path in train:
        assert (tmp_path / "clean" / path.name).read_bytes() == path.read_bytes()
        assert found[path.stem][1]["removed"] == [] and found[path.stem][1]["kept"] == 6


def test_pairs_go_by_picture_question_or_caption(tmp_path: Path, vqa: Path) -> None:
    tail = ("1|!+no", "", "set", "qa")
    rows = [
        ("picture", cell(picture(101)), "", "what is it ?", *tail),
        ("question", cell(picture(5)), "", QUESTION, *tail),
        ("caption", cell(picture(6)), QUESTION, "", "", "", "set", "caption"),
        ("clean", cell(picture(7)), "", "what is it ?", *tail),
    ]

    ids, report = clean([write(tmp_path / "p.tsv", rows)], "pairs", [vqa])["p"]

    assert ids == ["clean"]
    assert report["reasons"] == {"same picture": 1, "text": 2}


def test_pictures_of_evaluation_may_be_files(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    picture(100).save(tmp_path / "x" / "a.png")
    listed = write(tmp_path / "cls.tsv", [("x/a.png", "0", "normal")])
    train = write(tmp_path / "p.tsv", [("1", cell(picture(100))), ("2", cell(picture(1)))])

    assert clean([train], "pictures", [listed])["p"][0] == ["2"]

    listed.rename(tmp_path / "x" / "cls.tsv")
    with pytest.raises(ValueError, match=r"cls\.tsv:1: no picture x/a\.png .*--eval-image-root"):
        clean([train], "pictures", [tmp_path / "x" / "cls.tsv"])
    words = ("--eval-image-root", str(tmp_path))
    assert clean([train], "pictures", [tmp_path / "x" / "cls.tsv"], *words)["p"][0] == ["2"]


def test_damaged_pictures_are_named(tmp_path: Path, vqa: Path) -> None:
    good = cell(picture(1, 200))
    cut = good[: len(good) // 8 * 4]
    with pytest.raises(ValueError, match=r"p\.tsv:2: .*not a readable picture"):
        clean([write(tmp_path / "p.tsv", [("1", good), ("2", cut)])], "pictures", [vqa])
    bad = write(tmp_path / "bad.tsv", [("1", cut, "0")])
    with pytest.raises(ValueError, match=r"bad\.tsv:1: .*not a readable picture"):
        clean([write(tmp_path / "p.tsv", [("1", good)])], "pictures", [bad])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--overlap", "0"), "--overlap must lie above 0"),
        (("--run", "0"), "--run must be positive"),
        (("--run", "99"), "0 pictures and 0 texts of 99 words .*choose other files"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, words: tuple[str, str], message: str) -> None:
    train, other = (
        write(tmp_path / "t.tsv", [("1", ABSTRACT)]),
        write(tmp_path / "e.tsv", [("1", ABSTRACT)]),
    )
    with pytest.raises(ValueError, match=message):
        clean([train], "texts", [other], *words)


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    train = write(tmp_path / "t.tsv", [("1", ABSTRACT)])
    other = write(tmp_path / "e.tsv", [("1", ABSTRACT)])
    with pytest.raises(ValueError, match="all 1 rows would be removed"):
        clean([train], "texts", [other])


def test_phrases_of_very_many_texts_are_listed_for_some_only() -> None:
    index = TextIndex(8, 0.7)
    phrase = "there is no evidence of an acute fracture in this"
    for number in range(500):
        index.add(f"{phrase} picture of bone {number} a{number} b{number} c{number}", ("e", number))

    found = index.find(f"{phrase} picture of bone 400 a400 b400 c400")

    assert max(map(len, index._by_run.values())) == TextIndex._MOST
    assert found is not None and found["evaluation"] == {"file": "e", "row": 400}
