"""Baselines on rows whose right answers are seen at once."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.floors import (
    baselines,
    best_constant,
    linear_by_text,
    main,
    most_frequent,
    nearest_by_image,
    nearest_by_text,
    read_items,
    score,
)


def write(folder, rows, split="train"):
    path = folder / f"{split}.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def picture(grey: int) -> str:
    file = io.BytesIO()
    Image.new("L", (8, 8), grey).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def evidence(tmp_path):
    rows = [
        ("the dose raised pressure", "pressure: drug", "increased"),
        ("the dose raised weight", "weight: drug", "increased"),
        ("pressure fell with the dose", "pressure: drug", "decreased"),
    ]
    return read_items("text_classify", write(tmp_path, rows))


def test_the_most_frequent_answer_is_the_constant_of_a_closed_set(evidence):
    assert most_frequent(evidence) == "increased"


def test_the_nearest_row_by_words_gives_its_answer(tmp_path, evidence):
    asked = write(tmp_path, [("weight fell", "weight: drug", "decreased")], "test")
    asked = read_items("text_classify", asked)
    assert nearest_by_text(evidence, asked) == ["increased"]  # it shares the word weight twice


def test_the_linear_model_reads_only_the_asked_texts(tmp_path, evidence):
    asked = write(tmp_path, [("pressure fell", "weight: drug", "decreased")], "test")
    asked = read_items("text_classify", asked)
    assert linear_by_text(evidence, asked, [0]) == ["decreased"]
    assert linear_by_text(evidence, asked, [1]) == ["increased"]


def test_the_constant_text_has_the_best_mean_rouge(tmp_path):
    rows = [("a", "no acute disease"), ("b", "no acute disease today"), ("c", "large effusion")]
    assert best_constant(read_items("gigaword", write(tmp_path, rows))) == "no acute disease"


def test_the_nearest_picture_gives_its_caption(tmp_path):
    rows = [(f"r{v}", "", f"grey {v}", "", picture(v)) for v in (0, 100, 255)]
    items = read_items("caption", write(tmp_path, rows))
    asked = read_items("caption", write(tmp_path, [("q", "", "dark", "", picture(30))], "test"))
    assert nearest_by_image(items, asked) == ["grey 0"]
    assert np.allclose(asked[0].pixels, 30 / 255)


def test_captions_have_each_reference(tmp_path):
    row = ("r", "", "clear lungs&&no finding.", "", picture(5))
    assert list(read_items("caption", write(tmp_path, [row]))[0].references) == [
        "clear lungs",
        "no finding",
    ]


def test_answers_are_scored_as_by_evaluate(tmp_path):
    rows = [("q1", "i", "is it?", "1|!+yes&&0.5|!+maybe", "", picture(0))]
    items = read_items("vqa_gen", write(tmp_path, rows))
    assert items[0].answer == "yes"
    assert score("vqa_gen", items, ["maybe"]).as_dict()["metrics"]["vqa_score"]["value"] == 0.5


def test_each_task_has_the_baselines_that_suit_it(tmp_path, evidence):
    assert [name for name, _ in baselines("text_classify", evidence, evidence)] == [
        "constant",
        "nearest text",
        "linear, text 1",
        "linear, text 2",
        "linear, all texts",
    ]
    items = read_items(
        "text_classify", write(tmp_path, [("it rose", "", "up"), ("it fell", "", "down")])
    )
    found = {name: list(answer()) for name, answer in baselines("text_classify", items, items)}
    assert list(found) == ["constant", "nearest text", "linear, all texts"]
    assert found["linear, all texts"] == ["up", "down"]
    rows = [(picture(0), "0", "dark"), (picture(255), "1", "bright")]
    items = read_items("image_classify", write(tmp_path, rows))
    found = {name: list(answer()) for name, answer in baselines("image_classify", items, items)}
    assert found["nearest image"] == found["linear, pixels"] == ["dark", "bright"]
    assert list(found) == ["constant", "nearest image", "linear, pixels"]


def test_the_program_prints_and_writes_all_metrics(tmp_path, capsys):
    rows = [("lungs clear", "no disease"), ("fluid left", "left effusion")]
    write(tmp_path, rows)
    write(tmp_path, [("fluid on the left", "left effusion")], "test")
    assert main(["gigaword", str(tmp_path), "--output", str(tmp_path / "floors.json")]) == 0
    found = json.loads((tmp_path / "floors.json").read_text())
    assert found["nearest text"]["rougeL F1"]["value"] == 1.0
    assert found["constant"]["rougeL F1"]["value"] == 0.0
    assert "nearest text" in capsys.readouterr().out
