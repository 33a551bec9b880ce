"""MedMNIST archives."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from biomedgpt_fairseq.data.image import load_image
from biomedgpt_fairseq.data.tsv import TsvReader
from data_utils.medmnist import convert, read_labels
from data_utils.medmnist_labels import SUBSETS
from data_utils.npz_stream import NpzArray

Arrays = dict[str, NDArray[Any]]
SIZES = {"train": 6, "val": 3, "test": 2}


def make_arrays(side: int = 8, colour: bool = False, classes: int = 2) -> Arrays:
    rng = np.random.default_rng(1)
    arrays: Arrays = {}
    for split, rows in SIZES.items():
        shape = (rows, side, side, 3) if colour else (rows, side, side)
        arrays[f"{split}_images"] = rng.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(rows, dtype=np.uint8) % classes)[:, None]
    return arrays


def save(path: Path, arrays: Arrays, compressed: bool = True) -> Path:
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as stream:
                np.save(stream, array)
    return path


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("colour", [True, False])
def test_rows_hold_the_pixels_and_names(compressed: bool, colour: bool, tmp_path: Path) -> None:
    arrays = make_arrays(colour=colour)
    convert(save(tmp_path / "breastmnist_64.npz", arrays, compressed), tmp_path / "out")

    for file, split in (("train", "train"), ("valid", "val"), ("test", "test")):
        reader = TsvReader(str(tmp_path / "out" / f"{file}.tsv"))
        assert len(reader) == SIZES[split]
        for row, (image, index, label) in enumerate(reader):
            pixels = np.asarray(load_image(image))
            expected = arrays[f"{split}_images"][row]
            assert np.array_equal(pixels if colour else pixels[:, :, 0], expected)
            assert (index, label) == (str(row % 2), ["malignant", "normal, benign"][row % 2])
    answers = json.loads((tmp_path / "out" / "answers.json").read_text())
    assert answers == {"malignant": 0, "normal, benign": 1}


def test_labels_file_beside_the_archive_goes_first(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text('{"label": {"1": "ill", "0": "well"}}')
    convert(save(tmp_path / "unknown.npz", make_arrays()), tmp_path / "out")

    answers = json.loads((tmp_path / "out" / "answers.json").read_text())
    assert answers == {"well": 0, "ill": 1}


def test_unknown_subset_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no known subset 'mymnist' .known: pathmnist"):
        convert(save(tmp_path / "mymnist.npz", make_arrays()), tmp_path / "out")


def test_label_without_a_name_is_refused(tmp_path: Path) -> None:
    archive = save(tmp_path / "breastmnist.npz", make_arrays(classes=3))

    with pytest.raises(ValueError, match=r"train row 3: label \[2\] but 2 class names"):
        convert(archive, tmp_path / "out")


def test_volumes_are_refused(tmp_path: Path) -> None:
    arrays = make_arrays()
    arrays["train_images"] = np.zeros((6, 8, 8, 8), dtype=np.uint8)

    with pytest.raises(ValueError, match="3-D subsets are not supported"):
        convert(save(tmp_path / "breastmnist.npz", arrays), tmp_path / "out")


def test_missing_array_is_named(tmp_path: Path) -> None:
    arrays = make_arrays()
    del arrays["val_labels"]

    with pytest.raises(ValueError, match="expected an array 'val_labels', found"):
        convert(save(tmp_path / "breastmnist.npz", arrays), tmp_path / "out")


def test_shared_images_stop_the_conversion_by_default(tmp_path: Path) -> None:
    arrays = make_arrays()
    arrays["val_images"][1] = arrays["train_images"][4]
    archive = save(tmp_path / "breastmnist.npz", arrays)

    with pytest.raises(ValueError, match="train row 5 = valid row 2"):
        convert(archive, tmp_path / "out")
    convert(archive, tmp_path / "out", on_leak="drop")
    assert len(TsvReader(str(tmp_path / "out" / "train.tsv"))) == 5
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["leaks"]["policy"] == "drop" and card["leaks"]["dropped"] == {"train": 1}
    convert(archive, tmp_path / "out", on_leak="keep")
    assert len(TsvReader(str(tmp_path / "out" / "train.tsv"))) == 6


def test_several_labels_are_joined_on_request(tmp_path: Path) -> None:
    arrays = make_arrays()
    for split, rows in SIZES.items():
        arrays[f"{split}_labels"] = np.zeros((rows, 14), dtype=np.uint8)
    arrays["train_labels"][0, [1, 2]] = 1
    archive = save(tmp_path / "chestmnist.npz", arrays)

    with pytest.raises(ValueError, match="--multi-label join"):
        convert(archive, tmp_path / "out")
    convert(archive, tmp_path / "out", multi_label="join")
    labels = list(TsvReader(str(tmp_path / "out" / "train.tsv"), "1,2"))
    assert labels[:2] == [["1,2", "cardiomegaly, effusion"], ["", "no finding"]]
    assert json.loads((tmp_path / "out" / "answers.json").read_text())["no finding"] == 15


@pytest.mark.parametrize(
    "text",
    ['["a", "b"]', '{"0": "a", "1": "b"}', '{"a": "0", "b": 1}', '{"label": {"0":"a","1":"b"}}'],
)
def test_labels_are_read_in_all_forms(text: str, tmp_path: Path) -> None:
    (tmp_path / "l.json").write_text(text)

    assert read_labels(tmp_path / "l.json") == ("a", "b")


def test_labels_with_a_gap_are_refused(tmp_path: Path) -> None:
    (tmp_path / "l.json").write_text('{"0": "a", "2": "b"}')

    with pytest.raises(ValueError, match="must be 0, 1, 2"):
        read_labels(tmp_path / "l.json")


@pytest.mark.parametrize("compressed", [True, False])
def test_array_rows_start_anywhere(compressed: bool, tmp_path: Path) -> None:
    arrays = make_arrays()
    path = save(tmp_path / "a.npz", arrays, compressed)

    rows = list(NpzArray(path, "train_images").rows(4))

    assert np.array_equal(np.stack(rows), arrays["train_images"][4:])


def test_array_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, train_labels=np.array([{}], dtype=object))

    with pytest.raises(ValueError, match="must be a plain array"):
        NpzArray(path, "train_labels")


def test_cut_archive_is_an_error(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", make_arrays())
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises((ValueError, zipfile.BadZipFile)):
        NpzArray(path, "train_images")


@pytest.mark.shared
@pytest.mark.parametrize("name", ["blood", "breast", "derma", "oct", "organc", "path", "pneumonia"])
def test_published_names_are_those_of_the_distributed_maps(name: str, shared_dir: Path) -> None:
    path = shared_dir / "data" / "label_maps" / f"MedMNIST-{name}mnist_class2label.json"

    assert read_labels(path) == SUBSETS[f"{name}mnist"].labels


@pytest.mark.shared
def test_pneumonia_set_is_converted_without_its_shared_images(
    shared_dir: Path, tmp_path: Path
) -> None:
    archive = shared_dir / "data" / "pneumoniamnist" / "pneumoniamnist.npz"

    with pytest.raises(ValueError, match="found 8 shared"):
        convert(archive, tmp_path)
    convert(archive, tmp_path, on_leak="drop")

    counts = {s: len(TsvReader(str(tmp_path / f"{s}.tsv"))) for s in ("train", "valid", "test")}
    # Two of the eight are twice in the training part.
    assert counts == {"train": 4708 - 10, "valid": 524, "test": 424}
    labels = list(TsvReader(str(tmp_path / "valid.tsv")).column(2))
    assert (labels.count("normal"), labels.count("pneumonia")) == (135, 389)
    images = np.load(archive)["test_images"]
    cells = TsvReader(str(tmp_path / "test.tsv")).column(0)
    stored = [hashlib.sha256(np.asarray(load_image(c))[:, :, 0].tobytes()).digest() for c in cells]
    assert stored == [hashlib.sha256(image.tobytes()).digest() for image in images]
