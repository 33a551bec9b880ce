"""Answer maps from tables and from old pickles."""

import json
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest

from data_utils.answer_map import _build_parser, _run, collect_answers, read_pickle


class _Runs:
    """Runs something when it is unpickled the usual way."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.marker,)  # type: ignore[return-value]


def dump(folder: Path, value: object, protocol: int = 4) -> Path:
    path = folder / "a.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_plain_dict_is_read_in_order(protocol: int, tmp_path: Path) -> None:
    answers = {"yes": 0, "no": 1, "left lung ": "2"}

    assert list(read_pickle(dump(tmp_path, answers, protocol)).items()) == list(answers.items())


def test_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    with pytest.raises(ValueError, match="expected a pickle of plain values: it names"):
        read_pickle(dump(tmp_path, {"yes": _Runs(marker)}))
    assert not marker.exists()


@pytest.mark.parametrize("value", [OrderedDict(a=1), {1: "a"}, {"a": [1]}, ["a"], {}, {"a": True}])
def test_pickle_of_anything_else_is_refused(value: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_pickle(dump(tmp_path, value))


def test_damaged_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"yes": 0})[:-4])

    with pytest.raises(ValueError, match="expected a pickle of plain values"):
        read_pickle(tmp_path / "a.pkl")


def write_table(folder: Path) -> Path:
    path = folder / "train.tsv"
    path.write_text("1\t1|!+yes\n2\t0.3|!+no&&0.6|!+left\n3\t1|!+yes\n4\t1|!+chest x-ray\n")
    return path


def test_answers_are_numbered_as_they_appear(tmp_path: Path) -> None:
    answers = collect_answers([write_table(tmp_path)], 1, "reference")

    assert list(answers.items()) == [("yes", 0), ("left", 1), ("chest x-ray", 2)]


def test_rare_answers_can_be_left_out(tmp_path: Path) -> None:
    assert collect_answers([write_table(tmp_path)], 1, "reference", min_count=2) == {"yes": 0}


def test_plain_cells_are_taken_as_they_are(tmp_path: Path) -> None:
    assert list(collect_answers([write_table(tmp_path)], 0, "plain")) == ["1", "2", "3", "4"]


def test_cell_of_another_form_names_its_place(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train\.tsv:1: expected references"):
        collect_answers([write_table(tmp_path)], 0, "reference")


def test_program_writes_json(tmp_path: Path) -> None:
    table = write_table(tmp_path)
    arguments = ["tsv", str(table), "--column", "1", "--output", str(tmp_path / "o" / "a.json")]

    _run(_build_parser().parse_args(arguments))

    assert json.loads((tmp_path / "o" / "a.json").read_text())["left"] == 1


@pytest.mark.shared
def test_distributed_pickles_equal_their_json(shared_dir: Path) -> None:
    paths = sorted((shared_dir / "data" / "label_maps").glob("*.pkl"))
    assert len(paths) == 9
    for path in paths:
        expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert list(read_pickle(path).items()) == list(expected.items())


@pytest.mark.parametrize(
    "content",
    [
        b"(dp0\nS'yes'\np1\nI0\nsS'na\\xc3\\xafve t cell'\np2\nI1\ns.",  # protocol 0, byte strings
        b"\x80\x02}q\x00(U\x03yesq\x01K\x00U\x0dna\xc3\xafve t cellq\x02K\x01u.",  # protocol 2
    ],
)
def test_map_of_python_2_is_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "trainval_ans2label.pkl").write_bytes(content)

    found = read_pickle(tmp_path / "trainval_ans2label.pkl")
    assert list(found.items()) == [("yes", 0), ("naïve t cell", 1)]


def test_missing_map_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.pkl: no such file"):
        read_pickle(tmp_path / "a.pkl")
