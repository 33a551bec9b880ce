"""Prediction: images and texts of the user -> ranked answers, through the path of training."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch

from biomedgpt_fairseq.data.collate import collate
from biomedgpt_fairseq.data.composition import Example
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.fairseq_loading import Loaded, LoadRequest, load
from biomedgpt_fairseq.fairseq_placement import Placement
from biomedgpt_fairseq.tasks.input_form import InputForm

SPLIT = "test"
# Path and row number of a row, as errors name it; None: the command line.
Place = Optional[tuple[str, int]]
# Stands where a row has its gold answer: builders compose it into the target, which nobody reads.
_ANY_TEXT = "unknown"


@dataclass(frozen=True)
class PredictionRequest:
    """What to answer: either `input_file` or the parts of a single row."""

    load: LoadRequest
    placement: Placement
    image: Optional[str] = None
    question: Optional[str] = None
    texts: Sequence[str] = ()
    input_file: Optional[str] = None
    selected_cols: Optional[str] = None
    batch_size: int = 16
    top_k: int = 5


def predict(request: PredictionRequest) -> Iterator[dict[str, Any]]:
    """A record {"id", "answer", "score", "candidates"} per row, in order."""
    torch.manual_seed(request.load.seed)
    loaded = load(request.load)
    models = request.placement.place(loaded.models)
    task = loaded.task
    folder = Path(task.cfg.image_root) if task.cfg.image_root else None
    tools, options = task.row_tools(SPLIT, folder), task.row_options(SPLIT)
    rng = np.random.default_rng(request.load.seed)

    def build(row: list[str], place: Place, index: int) -> Example:
        try:
            example: Example = task.make_example(row, index, tools, options, rng)
        except BadRow as error:
            raise error.at(*place) if place else error from None
        return example

    rows = enumerate(_rows(request, loaded))
    while chunk := list(islice(rows, request.batch_size)):
        examples = [build(row, place, index) for index, (row, place) in chunk]
        batch = collate(examples, pad=task.source_dictionary.pad(), with_constraints=False)
        with torch.inference_mode():
            ranked = rank_answers(task, models, request.placement.move(batch), request.top_k)
        for row_id, candidates in zip(batch["id"], ranked, strict=True):
            best = candidates[0]
            yield {"id": row_id, "answer": best["answer"], "score": best["score"]} | {
                "candidates": candidates
            }


def rank_answers(
    task: Any, models: Sequence[Any], batch: Any, top_k: int
) -> list[list[dict[str, Any]]]:
    """The best answers of each row: of the closed set with probabilities, or of the search."""
    if task.answers is None or str(task.cfg.val_inference_type) == "beamsearch":
        return _search(task, models, batch, top_k)
    scores = task.score_candidates(models, batch)  # (B, K)
    shares = scores.double().softmax(1)  # (B, K)
    best = scores.topk(min(top_k, scores.size(1)), dim=1)
    return [
        [
            {"answer": task.answers[k], "score": score, "probability": float(share[k])}
            for score, k in zip(values, places, strict=True)
        ]
        for values, places, share in zip(
            best.values.tolist(), best.indices.tolist(), shares, strict=True
        )
    ]


def _search(task: Any, models: Sequence[Any], batch: Any, top_k: int) -> list[list[dict[str, Any]]]:
    return [
        [{"answer": text, "score": score} for text, score in found]
        for found in task.search_texts(models, batch, top_k)
    ]


def _rows(request: PredictionRequest, loaded: Loaded) -> Iterator[tuple[list[str], Place]]:
    """Full rows of the task, with a stand-in where the answer belongs, and where they are from."""
    form = loaded.task.input_form
    if form is None:
        raise ValueError(f"no prediction for task {loaded.task_name}; give another by --task")
    answer = loaded.task.answers[0] if loaded.task.answers else _ANY_TEXT
    asked = [cell.format(answer=answer) for cell in form.asked]
    if request.input_file is None:
        yield [*_single_row(request, form, loaded.task_name), *asked], None
        return
    reader = TsvReader(request.input_file, request.selected_cols)
    for index in range(len(reader)):
        row, place = reader[index], reader.locate(index)
        if len(row) < len(form.given):
            expected = ", ".join(form.given)
            raise BadRow(f"expected columns {expected}, found {len(row)}").at(*place)
        yield [*row[: len(form.given)], *asked], place


def _single_row(request: PredictionRequest, form: InputForm, task_name: str) -> list[str]:
    texts = list(request.texts)
    cells: list[str] = []
    for column in form.given:
        if column == "id":
            cells.append(Path(request.image).name if request.image else "0")
        elif column == "image":
            cells.append(_read_image(request.image, task_name))
        elif column == "question" and request.question is not None:
            cells.append(request.question)
        elif column == "second text":
            cells.append(texts.pop(0) if texts else "")
        elif column == "text" and texts:
            cells.append(texts.pop(0))
        else:
            raise ValueError(f"task {task_name} needs --{column} {column.upper()}")
    if texts or (request.question is not None and "question" not in form.given):
        raise ValueError(f"task {task_name} reads only: {', '.join(form.given)}")
    return cells


def _read_image(path: Optional[str], task_name: str) -> str:
    if path is None:
        raise ValueError(f"task {task_name} needs --image FILE")
    if not Path(path).is_file():
        raise FileNotFoundError(f"--image {path}: no such file")
    return base64.b64encode(Path(path).read_bytes()).decode("ascii")
