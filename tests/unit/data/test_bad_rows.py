"""Rows of hand-made files that cannot be used: each is an error with file, row and reason."""

from __future__ import annotations

import codecs
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biomedgpt_fairseq.data import examples as builders
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.examples import RowOptions, RowTools
from biomedgpt_fairseq.data.fairseq_dataset import RowDataset
from biomedgpt_fairseq.data.image import ImageLoader, ImageSource, ImageTransform
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.tasks.rows import BuildRow
from biomedgpt_fairseq.text.instructions import get_instruction
from biomedgpt_fairseq.text.trie import AnswerTrie
from biomedgpt_fairseq.text.vocab import Vocabulary

# Task -> its row builder, and a row that is good.
TASKS = {
    "vqa": (builders.make_vqa_example, ["7", "a.png", "what?", "1.0|!+yes", ""]),
    "image_classify": (builders.make_classify_example, ["a.png", "yes"]),
    "caption": (builders.make_caption_example, ["7", "a.png", "a heart."]),
    "mnli": (builders.make_nli_example, ["first", "second", "1"]),
    "text_classify": (builders.make_text_classify_example, ["first", "", "yes"]),
    "summary": (builders.make_summary_example, ["a long text", "short"]),
}
CLOSED = ("vqa", "image_classify", "text_classify")
# Task, column, what stands there, what the error says.
CELLS = [
    ("vqa", 1, "gone.png", "image file .*gone.png does not exist; see --image-root"),
    ("vqa", 1, "../a.png", "image path '../a.png' leaves the image folder"),
    ("vqa", 1, "", "column 'image' is empty"),
    ("vqa", 3, "yes", r"expected references as confidence\|!\+answer, joined by &&, found 'yes'"),
    ("vqa", 3, "3", r"expected references .* found '3'"),
    ("vqa", 3, "1.0|!+", r"expected references .* found '1.0\|!\+'"),
    ("vqa", 3, "nan|!+yes", r"expected references .* found 'nan\|!\+yes'"),
    ("vqa", 3, "-1|!+yes", r"expected references .* found '-1\|!\+yes'"),
    ("vqa", 3, "1.0|!+perhaps", "answer 'perhaps' is not in the closed answer set"),
    ("image_classify", 1, "", "column 'label' is empty"),
    ("image_classify", 1, "perhaps", "answer 'perhaps' is not in the closed answer set"),
    ("caption", 2, "", "column 'caption' is empty; fill it"),
    ("caption", 2, "...", "expected words in each caption, joined by &&, found '...'"),
    ("mnli", 2, "entailment", r"expected label 0, 1 or 2 .* found 'entailment'"),
    ("mnli", 2, "0.5", r"expected label 0, 1 or 2 .* found '0.5'"),
    ("mnli", 0, "", "column 'sentence1' is empty"),
    ("text_classify", 0, "", "column 'text1' is empty"),
    ("text_classify", 2, "True", "answer 'True' is not in the closed answer set"),
    ("summary", 0, "", "column 'source' is empty"),
    ("summary", 0, "a\ttab", "expected 2 columns as in the first row, found 3; is there a tab"),
    ("summary", 0, "a\0", "expected text, found a NUL character at byte 1"),
]


class Letters:
    """A token for each character."""

    vocab = Vocabulary([chr(code) for code in range(32, 127)], 0, 0)

    def encode(self, text: str) -> list[int]:
        return [self.vocab.index(letter) for letter in text.strip()] or [3]


class Words(Letters):
    """A token for each word, which answers of `mnli` have to be."""

    def encode(self, text: str) -> list[int]:
        return [3 + len(word) for word in text.split()]


def dataset(task: str, path: Path, columns: str | None = None, skip: bool = False) -> RowDataset:
    """Rows of the file, as the task reads them for training."""
    tokenizer = Words() if task == "mnli" else Letters()
    sequences = [[*tokenizer.encode(answer), Vocabulary.eos] for answer in ("yes", "no", "3")]
    trie = AnswerTrie(sequences) if task in CLOSED else None
    image = ImageLoader(ImageTransform(4), ImageSource(root=path.parent))
    tools = RowTools(tokenizer, get_instruction(task), image, trie)  # type: ignore[arg-type]
    return RowDataset(
        TsvReader(str(path), columns),
        BuildRow(TASKS[task][0], tools, RowOptions()),
        pad=Vocabulary.pad,
        on_bad_row="skip" if skip else "raise",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the rows are written, beside a picture."""
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "train.tsv"


def write(path: Path, *rows: list[str]) -> None:
    path.write_bytes("".join("\t".join(row) + "\n" for row in rows).encode())


def spoiled(task: str, column: int, cell: str) -> list[str]:
    row = list(TASKS[task][1])
    row[column] = cell
    return row


@pytest.mark.parametrize("task", TASKS)
def test_good_row_is_read(task: str, path: Path) -> None:
    write(path, TASKS[task][1])
    assert len(dataset(task, path)[0].target) > 0


@pytest.mark.parametrize(("task", "column", "cell", "message"), CELLS)
def test_bad_cell_names_file_row_and_reason(
    task: str, column: int, cell: str, message: str, path: Path
) -> None:
    write(path, TASKS[task][1], spoiled(task, column, cell))
    with pytest.raises(BadRow, match=rf"train\.tsv:2: {message}"):
        dataset(task, path)[1]


@pytest.mark.parametrize(("task", "column", "cell", "message"), CELLS)
def test_bad_cell_is_logged_counted_and_replaced_when_told(
    task: str, column: int, cell: str, message: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, TASKS[task][1], spoiled(task, column, cell))
    rows = dataset(task, path, skip=True)
    with caplog.at_level(logging.WARNING):
        assert rows[1].source.tolist() == rows[0].source.tolist()
    assert rows.bad_rows == 1
    assert "train.tsv:2: " in caplog.text


@pytest.mark.parametrize("columns", [None, "0,2,1"])
def test_shifted_columns_are_found_whichever_are_selected(columns: str | None, path: Path) -> None:
    write(path, ["a.png", "0", "yes"], ["a.png", "0", "yes", "no"])
    with pytest.raises(BadRow, match=r"train\.tsv:2: expected 3 columns as in the first row"):
        dataset("image_classify", path, columns)[1]


def test_line_break_inside_a_text_is_found(path: Path) -> None:
    write(path, TASKS["summary"][1], spoiled("summary", 0, "a\nline"))
    with pytest.raises(BadRow, match=r"train\.tsv:2: expected 2 columns .* a line break inside"):
        dataset("summary", path)[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xe9\tx\n", r"train\.tsv:1: expected UTF-8 text, found .* save the file as UTF-8"),
        ("a\tx\n".encode("utf-16"), r"train\.tsv:1: expected text, found a NUL .* UTF-16"),
    ],
)
def test_other_encodings_are_errors(content: bytes, message: str, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(BadRow, match=message):
        dataset("summary", path)[0]


def test_line_ends_and_byte_order_mark_of_windows_change_nothing(path: Path) -> None:
    write(path, TASKS["caption"][1], TASKS["caption"][1])
    expected = dataset("caption", path)[1].target.tolist()
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes().replace(b"\n", b"\r\n"))
    rows = dataset("caption", path)
    assert [rows[i].target.tolist() for i in (0, 1)] == [expected, expected]
    assert rows[0].row_id == "7"
    assert list(TsvReader(str(path)).column(0)) == ["7", "7"]


@pytest.mark.parametrize(
    ("task", "column", "cell"),
    [("vqa", 3, "1|!+3"), ("image_classify", 1, "3"), ("text_classify", 2, "3")],
)
def test_numeric_answers_are_text(task: str, column: int, cell: str, path: Path) -> None:
    write(path, spoiled(task, column, cell))
    assert dataset(task, path)[0].target_text == "3"


def test_rows_may_share_an_id(path: Path) -> None:
    # Several captions of a picture, a row each: ids matter where answers are looked up by them.
    write(path, TASKS["caption"][1], spoiled("caption", 2, "another."))
    rows = dataset("caption", path)
    assert [rows[i].target_text for i in (0, 1)] == ["a heart", "another"]
