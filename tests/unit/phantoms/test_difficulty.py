"""The phantoms cannot be solved without looking, nor pixel by pixel; but they can be learnt."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from torch import nn

from biomedgpt_fairseq.phantoms.case import (
    DEFAULT_CLASSES,
    WISH_STREAM,
    complete,
    draw_class_scene,
    row_rng,
)
from biomedgpt_fairseq.phantoms.questions import Question, draw_wish

Part = tuple[NDArray[np.uint8], NDArray[np.int64]]
Data = tuple[Part, Part]
TEST_START = 2_000_000_000


def _images(first: int, rows: int) -> Part:
    images, labels = [], []
    for row in range(first, first + rows):
        image = complete(1, row, 64, draw_class_scene(1, row)).image
        images.append(image if image.ndim == 3 else np.repeat(image[:, :, None], 3, 2))
        labels.append(DEFAULT_CLASSES.index(draw_class_scene(1, row).label))
    return np.stack(images), np.array(labels)


@pytest.fixture(scope="module")
def data() -> Data:
    return _images(0, 1200), _images(TEST_START, 300)


@pytest.fixture(scope="module")
def linear_accuracy(data: Data) -> float:
    (train, labels), (test, truth) = data

    def features(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        grey: NDArray[np.float64] = images.mean(-1).reshape(len(images), -1) / 255
        return grey - 0.5

    model = LogisticRegression(C=0.01, max_iter=200).fit(features(train), labels)
    return float(model.score(features(test), truth))


def _closed(first: int, rows: int) -> list[Question]:
    drawn = [draw_wish(row_rng(1, row, WISH_STREAM)).question for row in range(first, first + rows)]
    return [question for question in drawn if question.is_closed]


def test_question_alone_does_not_tell_the_answer() -> None:
    train, test = _closed(0, 4000), _closed(TEST_START, 2000)
    words = CountVectorizer(ngram_range=(1, 3)).fit(question.text for question in train)
    answers = [question.answer for question in train]
    model: Any = LogisticRegression().fit(words.transform(q.text for q in train), answers)

    accuracy = model.score(words.transform(q.text for q in test), [q.answer for q in test])

    assert 0.4 < accuracy <= 0.6


def test_linear_model_on_pixels_does_not_solve_the_classes(linear_accuracy: float) -> None:
    assert 1 / 6 < linear_accuracy <= 0.6


@pytest.mark.slow
def test_small_network_beats_the_linear_model_clearly(data: Data, linear_accuracy: float) -> None:
    (train, labels), (test, truth) = data
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for width, wider, stride in ((3, 16, 2), (16, 32, 2), (32, 64, 2), (64, 64, 1)):
        convolution = nn.Conv2d(width, wider, 3, stride, 1)
        layers += [convolution, nn.BatchNorm2d(wider), nn.ReLU()]
    head = [nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(64, len(DEFAULT_CLASSES))]
    network = nn.Sequential(*layers, *head)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    images = torch.from_numpy(train).permute(0, 3, 1, 2).float() / 127.5 - 1
    for _ in range(7):
        order = torch.randperm(len(images))
        for batch in (order[first : first + 32] for first in range(0, len(order), 32)):
            scores = network(images[batch])
            loss = nn.functional.cross_entropy(scores, torch.from_numpy(labels)[batch])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    network.eval()
    with torch.inference_mode():
        held_out = torch.from_numpy(test).permute(0, 3, 1, 2).float() / 127.5 - 1
        accuracy = float((network(held_out).argmax(1).numpy() == truth).mean())

    assert accuracy > 0.55
    assert accuracy > linear_accuracy + 0.2
