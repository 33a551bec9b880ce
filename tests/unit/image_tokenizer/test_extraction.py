"""Folders and tables of pictures -> rows with codes."""

from __future__ import annotations

import pytest
import torch

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import load_image
from biomedgpt_fairseq.image_tokenizer.extraction import (
    ExtractionOptions,
    extract,
    written_columns,
)
from biomedgpt_fairseq.image_tokenizer.pictures import picture_to_pixels, resized
from biomedgpt_fairseq.image_tokenizer.sources import open_pictures

SHAPES = [(50, 40), (64, 64), (40, 50), (64, 64), (30, 90)]


@pytest.fixture
def pictures(make_picture):
    return [make_picture(*shape, seed) for seed, shape in enumerate(SHAPES)]


@pytest.fixture
def table(tmp_path, pictures, to_cell):
    """Five rows of four columns."""
    path = tmp_path / "rows.tsv"
    rows = [f"u{i}\tp{i}\t{to_cell(picture)}\ttext {i}\n" for i, picture in enumerate(pictures)]
    path.write_text("".join(rows), encoding="utf-8")
    return path


def codes_of(tokenizer, picture, size=32, rule="both_sides") -> str:
    pixels = picture_to_pixels(resized(picture, size, rule))[None]
    return " ".join(map(str, tokenizer.encode(pixels, partial=True).flatten().tolist()))


@pytest.mark.parametrize("batch_size", [1, 2, 32])
@pytest.mark.parametrize("rule", ["both_sides", "shorter_side"])
def test_rows_keep_their_cells_and_order(table, pictures, tokenizer, batch_size, rule):
    options = ExtractionOptions(32, rule, batch_size=batch_size)
    rows = list(extract(open_pictures(str(table)), tokenizer, options))
    assert rows == [
        [f"u{i}", f"p{i}", f"text {i}", codes_of(tokenizer, picture, 32, rule)]
        for i, picture in enumerate(pictures)
    ]


def test_two_columns_are_chosen(table, pictures, tokenizer):
    rows = open_pictures(str(table), "1,2")
    assert written_columns(rows, ExtractionOptions()) == ("id", "codes")
    assert next(extract(rows, tokenizer, ExtractionOptions(32))) == [
        "p0",
        codes_of(tokenizer, pictures[0]),
    ]


def test_extraction_goes_on_from_a_row(table, tokenizer):
    rows = open_pictures(str(table))
    everything = list(extract(rows, tokenizer, ExtractionOptions(32)))
    assert list(extract(rows, tokenizer, ExtractionOptions(32), start=3)) == everything[3:]
    assert list(extract(rows, tokenizer, ExtractionOptions(32), start=5)) == []


def test_worker_processes_give_the_same_rows(table, tokenizer):
    rows = open_pictures(str(table))
    alone = list(extract(rows, tokenizer, ExtractionOptions(32)))
    assert list(extract(rows, tokenizer, ExtractionOptions(32, num_workers=2))) == alone


@pytest.mark.parametrize("num_workers", [0, 1])
def test_bad_picture_is_named_in_its_place(table, tokenizer, num_workers):
    lines = table.read_text("utf-8").splitlines(keepends=True)
    lines[2] = "u2\tp2\tAAAA\ttext\n"
    table.write_text("".join(lines), encoding="utf-8")
    options = ExtractionOptions(32, batch_size=2, num_workers=num_workers)
    found = list(extract(open_pictures(str(table)), tokenizer, options))
    assert [isinstance(row, BadRow) for row in found] == [False, False, True, False, False]
    assert str(found[2]).startswith(f"{table}:3: base64 image: not a readable picture")


def test_folder_is_read_in_the_order_of_its_names(tmp_path, pictures, tokenizer):
    (tmp_path / "b").mkdir()
    names = ["b/1.png", "a.PNG", "c.bmp"]
    for name, picture in zip(names, pictures, strict=False):
        picture.save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    rows = list(extract(open_pictures(str(tmp_path)), tokenizer, ExtractionOptions(32)))
    assert rows == [
        [name, codes_of(tokenizer, pictures[names.index(name)])] for name in sorted(names)
    ]


def test_bad_file_is_named(tmp_path):
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(BadRow, match="cut.png"):
        open_pictures(str(tmp_path))[0]


def test_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no pictures; known are .*png"):
        open_pictures(str(tmp_path))


@pytest.mark.parametrize("columns", ["0,1,2", "0"])
def test_other_numbers_of_columns_are_refused(table, columns):
    with pytest.raises(ValueError, match=r"rows.tsv: expected 2 columns .* or 4.*--selected-cols"):
        open_pictures(str(table), columns)


def test_pretraining_rows_hold_the_picture_and_the_codes_of_its_middle(
    table, pictures, tokenizer, to_cell
):
    rows = open_pictures(str(table), "1,2")
    options = ExtractionOptions(32, pretraining=True)
    assert written_columns(rows, options) == ("id", "image", "codes")
    found = list(extract(rows, tokenizer, options))
    for (row_id, cell, codes), number in zip(found, range(5), strict=True):
        whole = load_image(cell)
        assert row_id == f"p{number}" and whole.size == (64, 64)
        assert codes == codes_of(tokenizer, whole.crop((16, 16, 48, 48)))
    # A picture that has the size is passed on to the byte.
    assert found[1][1] == to_cell(pictures[1])


def test_pretraining_rows_take_two_columns_only(table):
    with pytest.raises(ValueError, match="choose these two columns"):
        written_columns(open_pictures(str(table)), ExtractionOptions(pretraining=True))


def test_codes_of_a_batch_are_those_of_each_picture(tokenizer, make_picture):
    pixels = torch.stack([picture_to_pixels(make_picture(32, 32, seed)) for seed in range(4)])
    together = tokenizer.encode(pixels)
    alone = torch.cat([tokenizer.encode(one[None]) for one in pixels])
    assert torch.equal(together, alone)
