"""Near-duplicates: found as by comparing all pairs, with bounded work; the program's files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("imagehash")
pytest.importorskip("datasketch")

from biomedgpt_fairseq.data.tsv import TsvReader
from data_utils.pretraining import dedupe, near
from data_utils.pretraining.near import PictureMeasure, TextMeasure, find_near
from tests.unit.data_utils.pretraining.smooth_pictures import cell, picture


def brute_force(measure: Any, signatures: np.ndarray) -> np.ndarray:
    like = np.full(len(signatures), -1)
    for row in range(len(signatures)):
        for other in range(row):
            pair = signatures[[other]], signatures[[row]]
            if like[other] < 0 and measure.near(*pair)[0]:
                like[row] = other
                break
    return like


def test_pictures_are_found_as_by_comparing_all_pairs() -> None:
    rng = np.random.default_rng(5)
    bits = rng.integers(0, 2, (60, 256), dtype=np.uint8)
    copies = bits[rng.integers(0, 60, 200)]
    for row, flips in zip(copies, rng.integers(0, 26, 200), strict=True):
        row[rng.choice(256, flips, replace=False)] ^= 1
    signatures = np.packbits(np.concatenate([bits, copies]), axis=1).view(np.uint16)

    found = find_near(PictureMeasure(15), signatures, np.zeros(260, np.uint64))

    assert found.tolist() == brute_force(PictureMeasure(15), signatures).tolist()
    assert 90 < (found >= 0).sum() < 180


def test_texts_are_found_as_by_comparing_all_pairs() -> None:
    rng = np.random.default_rng(6)
    words = [f"w{number}" for number in range(500)]
    texts = [list(rng.choice(words, 40)) for _ in range(30)]
    for number in range(90):
        changed = list(texts[number % 30])
        for place in rng.choice(40, number // 30, replace=False):
            changed[place] = "other"
        texts.append(changed)
    measure = TextMeasure(0.8)
    signatures = np.array([measure.signature(" ".join(text)) for text in texts])

    found = find_near(measure, signatures, np.zeros(120, np.uint64))

    assert found.tolist() == brute_force(measure, signatures).tolist()
    assert 30 <= (found >= 0).sum() < 90


def test_rows_of_different_groups_are_never_alike() -> None:
    signatures = np.tile(np.arange(16, dtype=np.uint16), (4, 1))
    within = np.array([1, 2, 1, 2], np.uint64)

    assert find_near(PictureMeasure(15), signatures, within).tolist() == [-1, -1, 0, 1]


def test_work_is_bounded_where_all_rows_share_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    signatures = np.random.default_rng(1).integers(0, 1 << 16, (3000, 16), dtype=np.uint16)
    signatures[:, 0] = 7
    measure, compared = PictureMeasure(15), []

    def count(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        compared.append(len(left))
        return np.zeros(len(left), bool)

    monkeypatch.setattr(measure, "near", count)
    find_near(measure, signatures, np.zeros(3000, np.uint64))

    assert sum(compared) < 3000 * (near._WINDOW + 4)  # of 4,498,500 pairs


def test_hash_outlives_other_encodings_and_sizes() -> None:
    measure = PictureMeasure(15)
    whole = [measure.signature(picture(seed, 256)) for seed in range(12)]
    small = [measure.signature(picture(seed, 256).resize((90, 120))) for seed in range(12)]

    assert max(PictureMeasure.distances(*pair) for pair in zip(whole, small, strict=True)) <= 15
    assert PictureMeasure.distances(whole[0], np.array(whole[1:])).min() > 40


def dedupe_rows(folder: Path, kind: str, files: dict[str, list[tuple[str, ...]]], *words: str):
    """Written rows and reports by name of the file."""
    paths = []
    for name, rows in files.items():
        paths.append(folder / f"{name}.tsv")
        paths[-1].write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    line = [*map(str, paths), "--rows", kind, "--output", str(folder / "out"), *words]
    dedupe.run(dedupe.build_parser().parse_args(line))
    found = {p.stem: [r[0] for r in TsvReader(str(p))] for p in (folder / "out").glob("*.tsv")}
    reports = {
        name: json.loads((folder / "out" / f"{name}.removed.json").read_text("utf-8"))
        for name in files
    }
    return found, reports


LONG = "the lungs are clear without focal consolidation and the heart is of normal size today"


def test_like_texts_go_over_all_files_and_are_reported(tmp_path: Path) -> None:
    texts = {
        "a": [("1", LONG), ("2", "a fracture of the left wrist"), ("3", LONG.upper() + " !")],
        "b": [("4", LONG.replace("today", "now")), ("5", "no fracture of the right hip")],
    }

    found, reports = dedupe_rows(tmp_path, "texts", texts, "--workers", "2")

    assert found == {"a": ["1", "2"], "b": ["5"]}
    report = reports["b"]
    assert report["rows"] == 2 and report["kept"] == 1 and report["reasons"] == {"like text": 1}
    (removed,) = report["removed"]
    like = {"file": str(tmp_path / "a.tsv"), "row": 1, "id": "1"}
    assert removed["row"] == 1 and removed["id"] == "4" and removed["like"] == like
    assert 0.8 <= removed["similarity"] < 1 and len(report["sha256"]) == 64


def test_like_pictures_go(tmp_path: Path) -> None:
    rows = [("1", cell(picture(1))), ("2", cell(picture(2))), ("3", cell(picture(1, 200)))]
    rows += [("4", cell(picture(1), format="JPEG", quality=90)), ("5", cell(picture(3)))]

    found, reports = dedupe_rows(tmp_path, "pictures", {"p": rows})

    assert found == {"p": ["1", "2", "5"]}
    assert [fact["like"]["id"] for fact in reports["p"]["removed"]] == ["1", "1"]
    assert all(fact["distance"] <= 15 for fact in reports["p"]["removed"])


def test_pairs_are_alike_in_picture_question_and_answer(tmp_path: Path) -> None:
    one, same, other = cell(picture(1)), cell(picture(1, 200)), cell(picture(2))
    question = "is there any sign of a fracture in the left wrist of this patient ?"

    def row(name: str, image: str, asked: str, answer: str) -> tuple[str, ...]:
        return (name, image, "", asked, f"1|!+{answer}", "", "set", "qa")

    rows = [
        row("1", one, question, "yes"),
        row("2", same, question, "yes"),
        row("3", same, question, "no"),
        row("4", other, question, "yes"),
        row("5", one, "where is it ?", "yes"),
    ]

    found, _ = dedupe_rows(tmp_path, "pairs", {"p": rows})

    assert found == {"p": ["1", "3", "4", "5"]}


def test_file_of_repeats_alone_is_not_written(tmp_path: Path) -> None:
    texts = {"a": [("1", LONG)], "b": [("2", LONG)]}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.tsv").write_text("of an earlier run\n")

    found, reports = dedupe_rows(tmp_path, "texts", texts)

    assert found == {"a": ["1"]} and reports["b"]["kept"] == 0


@pytest.mark.parametrize(
    ("row", "words", "message"),
    [
        (("1", "a", "b"), (), r"a\.tsv:1: expected 2 columns, found 3; choose another --rows"),
        (("1", "a"), ("--image-distance", "16"), "--image-distance must lie from 0 to 15"),
        (("1", "a"), ("--text-similarity", "0.2"), r"--text-similarity must lie from 0\.5 to 1"),
        (("1", "a"), ("--rows", "pictures"), r"a\.tsv:1: .*base64"),
        (("1", "a"), ("--output", "."), "--output must be another folder"),
    ],
)
def test_bad_input_is_named(
    tmp_path: Path,
    row: tuple[str, ...],
    words: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        dedupe_rows(tmp_path, "texts", {"a": [row]}, *words)


@pytest.mark.parametrize("name", ["imagehash", "datasketch"])
def test_missing_package_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(wanted: str, *args: Any) -> Any:
        raise ImportError(wanted)

    near._package.cache_clear()
    near._sketch.cache_clear()
    monkeypatch.setattr(near.importlib, "import_module", refuse)
    with pytest.raises(ValueError, match=rf"the package {name}, .*biomedgpt_fairseq\[dedupe\]"):
        PictureMeasure(1).signature(picture(1)) if name == "imagehash" else TextMeasure(
            1
        ).signature("a")
