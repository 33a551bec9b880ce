"""Options and rows that the pretraining task refuses."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fairseq")

from biomedgpt_fairseq.data.errors import BadRow
from tests.unit.tasks.unify_phantoms import SIDE, make_folder, make_task, png, train_batches


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("pretrain"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixture_weights": "{"}, "--mixture-weights must be JSON"),
        ({"mixture_weights": "[1]"}, "--mixture-weights must be JSON"),
        ({"mixture_weights": '{"train": -1}'}, "with weights of 0 or more"),
        ({"mixture_weights": '{"train": 1}'}, "each of the sources train, text, image, detection"),
        (
            {"mixture_weights": '{"train": 0, "text": 0, "image": 0, "detection": 0}'},
            "one positive",
        ),
        ({"mixture_weights": "{}", "mixture_cap": 3}, "goes without"),
        ({"mixture_temperature": 0.0}, "--mixture-temperature must be positive"),
        ({"mixture_epoch_rows": 5}, "--mixture-epoch-rows must be positive, and goes with"),
        ({"neg_sample_dir": None}, "--neg-sample-dir must name the folder"),
        ({"keep_ratio": 0.1}, "--keep-ratio has no effect and must be 0"),
        ({"mask_ratio": 2.0}, "--mask-ratio must lie"),
        ({"mask_length": "subword", "replace_length": -1}, "--replace-length must be one of 0, 1"),
        ({"instruction_variants": 2.0}, "--instruction-variants must lie"),
        ({"max_image_size": 48}, "--max-image-size 48 must not be less than"),
        ({"patch_image_size": 496}, "--patch-image-size must be at most 480"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    folder: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_task(folder, **options).load_dataset("train")


def test_two_sources_of_one_name_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.tsv").write_text("1\ta\n", "utf-8")
    texts = f"{folder / 'text.tsv'},{tmp_path / 'text.tsv'}"
    with pytest.raises(ValueError, match="text is there twice: rename a file"):
        make_task(folder, text_data=texts, mixture_cap=9).load_dataset("train")


@pytest.mark.parametrize("kind", ["text", "image", "detection"])
@pytest.mark.parametrize("free", [False, True])
def test_source_without_rows_is_refused(
    folder: Path, tmp_path: Path, kind: str, free: bool
) -> None:
    (tmp_path / "nothing.tsv").write_text("", "utf-8")
    options = {f"{kind}_data": str(tmp_path / "nothing.tsv")}
    cap = 5 if free else None
    with pytest.raises(ValueError, match=r"nothing\.tsv"):
        make_task(folder, mixture_cap=cap, **options).load_dataset("train")


@pytest.mark.parametrize("option", ["data", "text_data", "image_data", "detection_data"])
@pytest.mark.parametrize("cap", [None, 5])
def test_missing_shard_is_named_before_training(folder: Path, option: str, cap: int | None) -> None:
    there = {"data": "train", "text_data": "text", "image_data": "image"}.get(option, "detection")
    files = f"{folder / there}.tsv,{folder / 'lost.tsv'}"
    if option == "data":  # the second training file, which the first epoch does not read
        files += f",{folder / 'valid.tsv'}"
    with pytest.raises(FileNotFoundError, match=r"lost\.tsv"):
        make_task(folder, mixture_cap=cap, **{option: files}).load_dataset("train")


@pytest.mark.parametrize("kind", ["text", "image", "detection"])
def test_validation_source_that_is_missing_or_empty_is_named(
    folder: Path, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "nothing.tsv").write_text("", "utf-8")
    files = f"{folder / kind}.tsv,{folder / 'lost.tsv'}"
    with pytest.raises(FileNotFoundError, match=r"lost\.tsv: no such file"):
        make_task(folder, **{f"valid_{kind}_data": files}).load_dataset("valid")
    with pytest.raises(ValueError, match=r"nothing\.tsv: the file is empty; expected"):
        empty = {f"valid_{kind}_data": str(tmp_path / "nothing.tsv")}
        make_task(folder, **empty).load_dataset("valid")


@pytest.mark.parametrize("files", ["{nothing},{valid}", "{train},{nothing},{valid}"])
def test_pairs_without_rows_are_refused(folder: Path, tmp_path: Path, files: str) -> None:
    (tmp_path / "nothing.tsv").write_text("", "utf-8")
    paths = {name: folder / f"{name}.tsv" for name in ("train", "valid")}
    data = files.format(nothing=tmp_path / "nothing.tsv", **paths)
    with pytest.raises(ValueError, match=r"nothing\.tsv: the file is empty"):
        make_task(folder, data=data).load_dataset("train")


def box_row(box: str) -> str:
    """A row of the main file with a region."""
    return f"r\t{png(40, 9)}\ta mass\t\t{box}\t\tset\tvisual_grounding"


PICTURE = png(SIDE, 1)
BAD_ROWS = [
    ("data", box_row("0,0,90,20"), "box 0,0,90,20 lies outside of the picture of 40 x 40 pixels"),
    ("data", box_row("5,5,5,20"), "box 5,5,5,20 has no area"),
    ("data", box_row("5,5,20"), "expected a box as x0,y0,x1,y1 in pixels"),
    (
        "detection_data",
        f"d\t{PICTURE}\t-9,0,20,20,0,mass",
        "lies outside of the picture of 64 x 64",
    ),
    ("detection_data", f"d\t{PICTURE}\t5,9,20,9,0,mass", "box 5,9,20,9 has no area"),
    ("image_data", f"i\t{PICTURE}\t{'64 ' * 16}", "expected codes from 0 to 63, found '64'"),
    ("image_data", f"i\t{PICTURE}\t{'1 ' * 15}", "expected 16 codes, a grid of 4 x 4, found 15"),
    ("text_data", "t\t ", "the text is empty"),
]


@pytest.mark.parametrize(("option", "row", "reason"), BAD_ROWS)
@pytest.mark.parametrize("split", ["train", "valid"])
def test_bad_row_names_its_file_and_row(
    folder: Path, tmp_path: Path, option: str, row: str, reason: str, split: str
) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text(f"{row}\n", "utf-8")
    options = {option if split == "train" else f"valid_{option}": str(path)}
    if option == "data":
        options = {"data": f"{path},{path}"}
    task = make_task(folder, **options)
    task.load_dataset(split)
    iterator = task.get_batch_iterator(task.dataset(split), max_sentences=4)
    with pytest.raises(BadRow, match=rf"rows\.tsv:1: .*{re.escape(reason)}"):
        list(iterator.next_epoch_itr())


def visit_all(folder: Path, **options: Any) -> None:
    task = make_task(folder, **options)
    task.load_dataset("train")
    list(task.get_batch_iterator(task.dataset("train"), max_sentences=4).next_epoch_itr())


@pytest.mark.parametrize(
    ("option", "kept", "reason"),
    [
        ("data", 0.5, "expected 8 columns .*the file is cut off in the middle of this row"),
        ("image_data", 0.5, "expected 3 columns .*the file is cut off in the middle of this row"),
        ("image_data", 0.99, "expected 16 codes, a grid of 4 x 4, found 1[0-5]"),
        ("detection_data", 0.5, "expected 3 columns .*the file is cut off in the middle"),
    ],
)
def test_shard_that_is_cut_off_in_a_row_names_it(
    folder: Path, tmp_path: Path, option: str, kept: float, reason: str
) -> None:
    name = "train" if option == "data" else option.removesuffix("_data")
    lines = (folder / f"{name}.tsv").read_bytes().splitlines(keepends=True)[:3]
    shard = tmp_path / f"{name}_2.tsv"
    shard.write_bytes(b"".join(lines[:2]) + lines[2][: int(kept * len(lines[2]))])
    # Of the main files, one an epoch is read.
    files = f"{shard},{folder / 'valid'}.tsv" if name == "train" else f"{folder / name}.tsv,{shard}"
    options: dict[str, Any] = {option: files}
    if name != "train":  # so that every row of it comes in the first epoch
        options["mixture_cap"] = 1000
    with pytest.raises(BadRow, match=rf"{name}_2\.tsv:3: .*{reason}"):
        visit_all(folder, **options)


def test_text_shard_that_is_cut_off_is_told_before_training(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shard = tmp_path / "texts.tsv"
    shard.write_bytes(b"1\twhole\n2\tha")
    with caplog.at_level(logging.WARNING):
        make_task(folder, text_data=str(shard)).load_dataset("train")
    assert f"{shard}: the last row has no line end; is the file cut off?" in caplog.text


def test_bad_side_row_names_its_file_or_is_replaced(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "texts.tsv"
    path.write_text("1\t \n2\tgood\n", "utf-8")
    with pytest.raises(BadRow, match=r"texts\.tsv:1: the text is empty"):
        train_batches(make_task(folder, text_data=str(path)))
    task = make_task(folder, text_data=str(path), on_bad_row="skip")
    with caplog.at_level(logging.WARNING):
        batches = train_batches(task)
    assert "bad row replaced by the next good one" in caplog.text
    assert task.dataset("train").bad_rows == 1
    assert sum(list(second["id"]).count("2") for _, second in batches) == 6
