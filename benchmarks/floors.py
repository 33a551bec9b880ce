"""What answering without a network scores on a converted data set: the floors of its results.

    python -m benchmarks.floors text_classify data/evidence --output floors.json

FOLDER holds train.tsv and the split to score, as the converters write them. The metrics are those
of `biomedgpt evaluate`, by the same code:

    constant        the most frequent training answer; for free text the training text with the
                    best mean ROUGE-L on the training split
    nearest text    the answer of the training row with the nearest texts (TF-IDF, cosine)
    nearest image   the answer of the training row with the nearest picture (32 x 32 grey pixels)
    linear          TF-IDF of words and pairs of words (each text in turn, and all) or grey pixels,
                    and logistic regression; for closed answer sets
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from biomedgpt_fairseq.data.answers import best_answer, parse_references
from biomedgpt_fairseq.data.examples import caption_references
from biomedgpt_fairseq.data.image import ImageSource, load_image
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.metrics import rouge
from biomedgpt_fairseq.report.summary import FREE_TEXT_TASKS, Summary, summarize
from data_utils import layouts

LAYOUTS = {
    layout.task: layout
    for layout in (
        layouts.VQA,
        layouts.CAPTION,
        layouts.IMAGE_CLASSIFY,
        layouts.NLI,
        layouts.SUMMARY,
        layouts.TEXT_CLASSIFY,
    )
}
TEXT_COLUMNS = {
    "vqa_gen": ("question",),
    "mnli": ("sentence1", "sentence2"),
    "gigaword": ("source",),
    "text_classify": ("text1", "text2"),
}
IMAGE_SIDE = 32
CONSTANT_CANDIDATES = 40
"""Texts tried as the constant one: scoring all against all would take an hour."""
REGULARISATION = 10.0


@dataclass(frozen=True)
class Item:
    """A row. pixels: (IMAGE_SIDE ** 2,) in [0, 1], or empty."""

    texts: tuple[str, ...]
    answer: str
    references: Mapping[str, float] = field(hash=False)
    pixels: NDArray[np.float64] = field(hash=False, compare=False)


class Answered(NamedTuple):
    """A row with its answer, in the form that `summarize` takes."""

    row_id: str
    answer: str
    score: float
    gold: str
    references: Mapping[str, float]
    probabilities: Sequence[float] | None


def read_items(task: str, path: Path) -> list[Item]:
    """Rows of a converted TSV file."""
    columns = LAYOUTS[task].columns
    reader = TsvReader(str(path))
    return [
        _item(task, dict(zip(columns, reader[i], strict=True)), path.parent)
        for i in range(len(reader))
    ]


def _item(task: str, cells: Mapping[str, str], folder: Path) -> Item:
    if task == "vqa_gen":
        references = parse_references(cells["answers"])
    elif task == "caption":
        references = dict.fromkeys(caption_references(cells["caption"]), 1.0)
    else:
        references = {cells["target" if task == "gigaword" else "label"]: 1.0}
    pixels: NDArray[np.float64] = np.empty(0)
    if LAYOUTS[task].has_image:
        image = load_image(cells["image"], ImageSource(root=folder)).convert("L")
        pixels = np.asarray(image.resize((IMAGE_SIDE, IMAGE_SIDE)), np.float64).ravel() / 255
    texts = tuple(cells[name] for name in TEXT_COLUMNS.get(task, ()))
    return Item(texts, best_answer(references), references, pixels)


def score(task: str, rows: Sequence[Item], answers: Sequence[str], seed: int = 1) -> Summary:
    """Metrics of the answers, as `biomedgpt evaluate` gives them."""
    pairs = enumerate(zip(rows, answers, strict=True))
    found = [Answered(str(i), a, 0.0, r.answer, r.references, None) for i, (r, a) in pairs]
    return summarize(task, found, None, seed)


def most_frequent(train: Sequence[Item]) -> str:
    """The most frequent training answer; the first of equals."""
    return Counter(item.answer for item in train).most_common(1)[0][0]


def best_constant(train: Sequence[Item]) -> str:
    """The training text whose mean ROUGE-L F1 with all of them is best.

    Tried are the most frequent texts and those nearest to the mean of all (TF-IDF).
    """
    texts = [item.answer for item in train]
    table = TfidfVectorizer().fit_transform(texts)
    central = np.argsort(-np.asarray(table @ table.mean(axis=0).T).ravel(), kind="stable")
    frequent = [text for text, _ in Counter(texts).most_common(CONSTANT_CANDIDATES // 2)]
    near = dict.fromkeys(texts[i] for i in central)
    tried = list(dict.fromkeys([*frequent, *near]))[:CONSTANT_CANDIDATES]
    targets = Counter(texts)

    def total_rouge(text: str) -> float:
        return sum(n * rouge(text, target)["rougeL"].f for target, n in targets.items())

    return str(max(tried, key=total_rouge))


def nearest_by_text(train: Sequence[Item], rows: Sequence[Item]) -> list[str]:
    """Answer of the training row whose texts are nearest."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    known = vectorizer.fit_transform([" ".join(item.texts) for item in train])
    asked = vectorizer.transform([" ".join(item.texts) for item in rows])
    nearest = np.asarray((asked @ known.T).argmax(axis=1)).ravel()
    return [train[i].answer for i in nearest]


def nearest_by_image(train: Sequence[Item], rows: Sequence[Item]) -> list[str]:
    """Answer of the training row whose picture is nearest."""
    known = np.stack([item.pixels for item in train])  # (N, P)
    return [train[int(((known - row.pixels) ** 2).sum(1).argmin())].answer for row in rows]


def linear_by_text(train: Sequence[Item], rows: Sequence[Item], columns: Sequence[int]) -> Any:
    """Answer of logistic regression on the words of some of the texts."""

    def joined(items: Sequence[Item]) -> list[str]:
        return [" ".join(item.texts[c] for c in columns) for item in items]

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=REGULARISATION, max_iter=1000),
    )
    return model.fit(joined(train), [item.answer for item in train]).predict(joined(rows)).tolist()


def linear_by_image(train: Sequence[Item], rows: Sequence[Item]) -> Any:
    """Answer of logistic regression on the pixels."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-2, max_iter=1000))
    model.fit([item.pixels for item in train], [item.answer for item in train])
    return model.predict([item.pixels for item in rows]).tolist()


def baselines(
    task: str, train: Sequence[Item], rows: Sequence[Item]
) -> Iterator[tuple[str, Callable[[], Sequence[str]]]]:
    """Names of the baselines that suit the task, with what computes their answers."""
    is_free = task in FREE_TEXT_TASKS
    constant = best_constant if is_free else most_frequent
    yield "constant", lambda: [constant(train)] * len(rows)
    texts = [n for n in range(len(train[0].texts)) if any(item.texts[n] for item in train)]
    if texts:
        yield "nearest text", lambda: nearest_by_text(train, rows)
    if train[0].pixels.size:
        yield "nearest image", lambda: nearest_by_image(train, rows)
    if is_free:
        return
    if len(texts) > 1:
        for number in texts:
            yield f"linear, text {number + 1}", partial(linear_by_text, train, rows, [number])
    if texts:
        yield "linear, all texts", lambda: linear_by_text(train, rows, texts)
    else:
        yield "linear, pixels", lambda: linear_by_image(train, rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.floors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", choices=sorted(LAYOUTS))
    parser.add_argument("folder", type=Path, help="folder that a converter wrote")
    parser.add_argument("--split", default="test", help="scored split (default: test)")
    parser.add_argument("--output", type=Path, help="also write all metrics there, as JSON")
    args = parser.parse_args(arguments)
    train = read_items(args.task, args.folder / "train.tsv")
    rows = read_items(args.task, args.folder / f"{args.split}.tsv")
    found = {}
    for name, answer in baselines(args.task, train, rows):
        summary = score(args.task, rows, answer())
        found[name] = summary.as_dict()["metrics"]
        for line in summary.lines():
            print(f"{name:18}  {line}", flush=True)
    if args.output is not None:
        args.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
