import base64
import io

import torch
from PIL import Image

from biomedgpt_fairseq.report.examples import picture_uri, select_examples
from biomedgpt_fairseq.report.model import Row


def row(name: str, value: float, confidence: float) -> Row:
    return Row(name, "a", -1.0, "b", value, probabilities=[confidence, 1 - confidence])


def test_worst_rows_are_confident_errors_first() -> None:
    rows = [row("0", 1.0, 0.9), row("1", 0.0, 0.6), row("2", 0.0, 0.8), row("3", 1.0, 0.7)]
    assert select_examples(rows, 2) == ([2, 1], [0, 3])


def test_no_row_is_shown_twice() -> None:
    rows = [row(str(i), 0.5, 0.5 + i / 100) for i in range(5)]
    worst, best = select_examples(rows, 4)
    assert not set(worst) & set(best)


def test_right_answers_are_not_among_the_worst() -> None:
    rows = [row(str(i), 1.0, 0.9) for i in range(4)]
    assert select_examples(rows, 2) == ([], [0, 1])


def test_no_rows_give_no_examples() -> None:
    assert select_examples([], 3) == ([], [])


def test_picture_is_denormalised_and_small() -> None:
    image = torch.full((3, 480, 480), 0.0)
    uri = picture_uri(image, [0.5] * 3, [0.5] * 3)
    prefix = "data:image/png;base64,"
    assert uri.startswith(prefix)
    picture = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix(prefix))))
    assert picture.size == (224, 224)
    assert picture.getpixel((0, 0)) == (128, 128, 128)
