"""The actions of `biomedgpt image-codes`."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from biomedgpt_fairseq.cli.main import main
from biomedgpt_fairseq.data.image import load_image
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.image_tokenizer.pictures import picture_to_pixels, resized
from biomedgpt_fairseq.image_tokenizer.tokenizer import load_image_tokenizer
from biomedgpt_fairseq.phantoms.rows import RowOptions, make_caption_row


@pytest.fixture
def table(tmp_path):
    """Three rows of id, image id, picture, text."""
    path = tmp_path / "rows.tsv"
    rows = [make_caption_row(RowOptions(seed=5, side=48), row) for row in range(3)]
    lines = [f"{row[0]}\t{row[1]}\t{row[4]}\t{row[2]}\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def run(*words: object) -> int:
    return main(["image-codes", *map(str, words)])


def replace_picture(path, row: int) -> None:
    rows = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
    rows[row][2] = "AAAA"
    path.write_text("".join("\t".join(cells) + "\n" for cells in rows), encoding="utf-8")


def test_extract_writes_the_cells_and_the_codes(table, tmp_path, capsys):
    output = tmp_path / "out" / "codes.tsv"
    assert run("extract", "--input", table, "--output", output, "--size", 32) == 0
    assert "wrote 3 rows to" in capsys.readouterr().out
    tokenizer = load_image_tokenizer()
    for cells, source in zip(TsvReader(str(output)), TsvReader(str(table)), strict=True):
        pixels = picture_to_pixels(resized(load_image(source[2]), 32))[None]
        codes = tokenizer.encode(pixels).flatten().tolist()
        assert cells == [source[0], source[1], source[3], " ".join(map(str, codes))]
    assert sorted(file.name for file in output.parent.iterdir() if ".offsets" not in file.name) == [
        "codes.tsv"
    ]


def test_extract_can_replace_the_codes_of_its_own_input(table, tmp_path):
    path = tmp_path / "image.tsv"
    words = ("--selected-cols", "0,1", "--pretrain", "--size", 32)
    run("extract", "--input", table, *("--selected-cols", "0,2"), *words[2:], "--output", path)
    first = path.read_bytes()
    assert run("extract", "--input", path, *words, "--output", path) == 0
    # Pictures have the size of training by now, so nothing changes any more.
    assert path.read_bytes() == first
    assert [len(row) for row in TsvReader(str(path))] == [3, 3, 3]


def test_extract_stops_at_a_bad_picture_and_names_it(table, tmp_path, capsys):
    replace_picture(table, 1)
    output = tmp_path / "codes.tsv"
    assert run("extract", "--input", table, "--output", output) == 2
    assert f"{table}:2: base64 image: not a readable picture" in capsys.readouterr().err
    assert not output.exists()


def test_extract_goes_on_without_bad_pictures_if_told(table, tmp_path, capsys, caplog):
    replace_picture(table, 1)
    output = tmp_path / "codes.tsv"
    words = ("--input", table, "--output", output, "--size", 32, "--on-bad-row", "skip")
    assert run("extract", *words) == 0
    assert [row[0] for row in TsvReader(str(output))] == ["phantom_0", "phantom_2"]
    assert f"left out: {table}:2:" in caplog.text
    assert "left out: 1" in capsys.readouterr().out


def test_extract_refuses_an_empty_result(table, tmp_path, capsys):
    for row in range(3):
        replace_picture(table, row)
    output = tmp_path / "codes.tsv"
    assert run("extract", "--input", table, "--output", output, "--on-bad-row", "skip") == 2
    assert "none of the 3 pictures could be read" in capsys.readouterr().err
    assert not output.exists()


def test_extract_goes_on_where_it_was_interrupted(table, tmp_path, monkeypatch):
    from biomedgpt_fairseq.image_tokenizer import extraction

    output = tmp_path / "codes.tsv"
    words = ("extract", "--input", table, "--output", output, "--size", 32, "--batch-size", 1)
    prepare, prepared = extraction._prepare, []

    def count(row, options):
        if len(prepared) == 2:
            raise KeyboardInterrupt
        prepared.append(row.cells[0])
        return prepare(row, options)

    monkeypatch.setattr(extraction, "_prepare", count)
    with pytest.raises(KeyboardInterrupt):
        run(*words)
    monkeypatch.setattr(extraction, "_prepare", lambda *a: prepared.append("again") or prepare(*a))
    assert run(*words) == 0
    assert [row[0] for row in TsvReader(str(output))] == [f"phantom_{i}" for i in range(3)]
    assert prepared == ["phantom_0", "phantom_1", "again", "again"]


def test_preview_draws_two_rows(table, tmp_path, capsys):
    output = tmp_path / "out" / "preview.png"
    words = ("--input", table, "--output", output, "--count", 2, "--size", 32)
    assert run("preview", *words) == 0
    with Image.open(output) as sheet:
        assert sheet.size == (68, 68)
    assert "2 pictures, mean error" in capsys.readouterr().out


def test_trained_tokenizer_is_written_with_its_sizes_and_notes(table, tmp_path, capsys):
    weights = tmp_path / "own.safetensors"
    words = ("--input", table, "--selected-cols", "0,2", "--output", weights)
    assert run("train", *words, "--size", 64, "--steps", 2, "--num-codes", 12) == 0
    assert "codes used: " in capsys.readouterr().out
    notes = json.loads(weights.with_suffix(".json").read_text())["notes"]
    assert notes["pictures"] == 2 and notes["held_out"]["pictures"] == 1
    assert load_image_tokenizer(weights).num_codes == 12
    output = tmp_path / "codes.tsv"
    assert run("extract", "--input", table, "--tokenizer", weights, "--output", output) == 0
    assert all(int(code) < 12 for row in TsvReader(str(output)) for code in row[3].split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--output", "own.pt"), "must end in .safetensors"),
        (("--output", "own.safetensors", "--size", "60"), "multiple of 8 and at least 64"),
        (("--output", "own.safetensors", "--width", "6"), "6 channels cannot be split"),
    ],
)
def test_training_refuses_what_cannot_work(words, message, capsys):
    assert run("train", *words) == 2
    assert message in capsys.readouterr().err
