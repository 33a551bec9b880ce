"""Detection and grounding: bad rows of boxes and names, and answers in pixels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fairseq")

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.tasks.boxes import BoxTask, DetectionTask, GroundingTask
from biomedgpt_fairseq.tasks.options import DetectionOptions, GroundingOptions
from biomedgpt_fairseq.text.compact import train_compact_vocabulary
from tests.unit.tasks.unify_phantoms import png

GOOD = {
    DetectionTask: f"d\t{png(40, 1)}\t5,5,20,20,0,mass&&0,0,40,30,1,lung",
    GroundingTask: f"g\t{png(40, 1)}\ta mass\t5,5,20,20",
}
OPTIONS = {DetectionTask: DetectionOptions, GroundingTask: GroundingOptions}
BOTH = pytest.mark.parametrize("kind", [DetectionTask, GroundingTask])


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bpe")
    train_compact_vocabulary(["mass", "a lung"], 300, folder)
    return str(folder)


@pytest.fixture
def make(vocabulary: str, tmp_path: Path) -> Any:
    """A task whose training file has the given rows, and a good one for validation."""

    def task(kind: type[BoxTask], *rows: str, **options: Any) -> BoxTask:
        (tmp_path / "train.tsv").write_text("".join(f"{row}\n" for row in rows), "utf-8")
        (tmp_path / "valid.tsv").write_text(f"{GOOD[kind]}\n", "utf-8")
        files = {"data": f"{tmp_path}/train.tsv,{tmp_path}/valid.tsv", "bpe_dir": vocabulary}
        columns = "0,1,2" if kind is DetectionTask else "0,1,2,3"
        small = {"code_dict_size": 0, "num_bins": 65, "patch_image_size": 32, "max_image_size": 32}
        options = {**files, **small, "selected_cols": columns, "seed": 1, **options}
        return kind.setup_task(OPTIONS[kind](**options))

    return task


@BOTH
@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ("5,5,60,20", "box 5,5,60,20 lies outside of the picture of 40 x 40 pixels"),
        ("-9,5,20,20", "box -9,5,20,20 lies outside of the picture"),
        ("5,5,5,20", "box 5,5,5,20 has no area"),
        ("20,5,5,20", "box 20,5,5,20 has no area"),
        ("5,5,20", "expected"),
        ("5,5,x,20", "expected a box as x0,y0,x1,y1 in pixels"),
    ],
)
def test_bad_box_names_its_row(make: Any, kind: type[BoxTask], box: str, reason: str) -> None:
    bad = GOOD[kind].replace("5,5,20,20", box)
    task = make(kind, GOOD[kind], bad)
    task.load_dataset("train")
    assert task.dataset("train")[0] is not None
    with pytest.raises(BadRow, match=rf"train\.tsv:2: .*{re.escape(reason)}"):
        task.dataset("train")[1]


@BOTH
def test_bad_box_is_replaced_when_told(make: Any, kind: type[BoxTask]) -> None:
    bad = GOOD[kind].replace("5,5,20,20", "5,5,5,20")
    task = make(kind, bad, GOOD[kind], on_bad_row="skip")
    task.load_dataset("train")
    first, second = (task.dataset("train")[i] for i in range(2))
    assert first.target.tolist() == second.target.tolist()
    assert task.dataset("train").bad_rows == 1


@BOTH
def test_file_without_rows_is_named(make: Any, kind: type[BoxTask]) -> None:
    with pytest.raises(ValueError, match=r"train\.tsv: the file is empty"):
        make(kind).load_dataset("train")


def test_file_without_objects_is_named(make: Any) -> None:
    with pytest.raises(BadRow, match=r"train\.tsv: no row has an object; check --selected-cols"):
        make(DetectionTask, f"d\t{png(40, 1)}\tmass").load_dataset("train")


def test_name_outside_of_the_given_ones_names_its_row(make: Any, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("mass\n", "utf-8")
    task = make(DetectionTask, GOOD[DetectionTask], ans2label_file=str(names))
    wanted = rf"train\.tsv:1: the name 'lung' of an object is not in --ans2label-file {names}; "
    with pytest.raises(BadRow, match=wanted):
        task.load_dataset("train")
    names.write_text("mass\nlung\nliver\n", "utf-8")
    task.load_dataset("train")
    assert task.names().num_answers == 3


def test_names_of_the_training_rows_are_kept(make: Any) -> None:
    task = make(DetectionTask, GOOD[DetectionTask])
    task.load_dataset("train")
    assert task.names().num_answers == 2
    assert task.state_dict()["object_names"] == ["mass", "lung"]


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_only_training_pictures_are_mirrored(make: Any, flip: float) -> None:
    task = make(DetectionTask, f"d\t{png(40, 1)}\t0,5,10,20,0,mass", detection_flip=flip)
    for split in ("train", "valid"):
        task.load_dataset(split)
    first = task.tokenizer.vocab.first_bin
    # 10 of 40 pixels are 16 of the bins 0 to 64, and 30 are 48.
    bins = (task.dataset("train")[0].target[:4] - first).tolist()
    assert [bins[0], bins[2]] == ([48, 64] if flip else [0, 16])
    assert (task.dataset("valid")[0].target[:4] - first).tolist() == [8, 8, 32, 32]


@BOTH
def test_bins_beyond_the_edge_are_refused(make: Any, kind: type[BoxTask]) -> None:
    with pytest.raises(ValueError, match="--max-image-size 16 must not be less than"):
        make(kind, GOOD[kind], max_image_size=16)
    with pytest.raises(ValueError, match="boxes need location bins; give --num-bins"):
        make(kind, GOOD[kind], num_bins=0)
