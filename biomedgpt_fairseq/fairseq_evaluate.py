"""Evaluation: checkpoint(s) -> rows of a split -> predictions, metrics, record and report."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

import torch
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from biomedgpt_fairseq.fairseq_loading import Loaded, LoadRequest, load
from biomedgpt_fairseq.fairseq_placement import Placement
from biomedgpt_fairseq.fairseq_robustness import (
    GroupRequest,
    Robustness,
    answer_record,
    break_down_all,
    doubts,
    evaluate_wordings,
    read_attributes,
)
from biomedgpt_fairseq.report.box_drawing import draw_boxes
from biomedgpt_fairseq.report.box_scoring import task_boxes
from biomedgpt_fairseq.report.examples import picture_uri, select_examples
from biomedgpt_fairseq.report.model import ReportData, Row, ShownExample
from biomedgpt_fairseq.report.paraphrases import Paraphrases
from biomedgpt_fairseq.report.provenance import file_record, versions
from biomedgpt_fairseq.report.records import prediction_line, released_records
from biomedgpt_fairseq.report.summary import Summary, summarize
from biomedgpt_fairseq.report.training_log import find_training_log, read_curves

logger = logging.getLogger(__name__)

EXAMPLES_SHOWN = 8


@dataclass(frozen=True)
class EvaluationRequest:
    """Which rows to evaluate, how, and where the files go."""

    load: LoadRequest
    results_path: Path
    placement: Placement
    gen_subset: str = "test"
    batch_size: int = 16
    num_workers: int = 0
    limit: Optional[int] = None
    """Only so many rows from the start."""
    report: bool = True
    log_file: Optional[str] = None
    command: str = ""
    groups: GroupRequest = GroupRequest()
    paraphrases: bool = False
    """Evaluate every wording of the instruction."""
    meteor: bool = True
    """Captions are scored by METEOR too."""


def evaluate(request: EvaluationRequest) -> Summary:
    """Run the evaluation and write its files into `results_path`."""
    started = time.time()
    torch.manual_seed(request.load.seed)
    loaded = load(request.load)
    loaded.task.load_dataset(request.gen_subset)
    dataset = loaded.task.dataset(request.gen_subset)
    rows_wanted = len(dataset) if request.limit is None else min(request.limit, len(dataset))
    if rows_wanted == 0:
        raise ValueError(f"{loaded.task_options.data}: no rows to evaluate")
    attributes = read_attributes(request.groups, loaded.task, dataset, rows_wanted)
    predictions = list(_predict(loaded, dataset, rows_wanted, request))
    _warn_of_shared_ids(dataset, [prediction.row_id for prediction in predictions])
    scored_as = loaded.task.scored_as
    seed, answers = request.load.seed, loaded.task.answers
    summary = summarize(scored_as, predictions, answers, seed, request.meteor)
    summary = replace(summary, task=loaded.task_name)
    robustness = Robustness(
        break_down_all(attributes, summary, request.groups, seed),
        _compare_wordings(loaded, dataset, summary, request) if request.paraphrases else None,
    )
    request.results_path.mkdir(parents=True, exist_ok=True)
    record = {
        **_make_record(request, loaded, rows_wanted),
        "answer_set": answer_record(loaded, dataset),
    }
    if request.groups.metadata is not None:
        record["metadata"] = file_record(request.groups.metadata)
    _write_results(request, loaded.task_name, summary, robustness)
    if request.report:
        from biomedgpt_fairseq.report.html import render

        data = _make_report(request, loaded, dataset, summary, record)
        data = replace(data, subgroups=robustness.subgroups, paraphrases=robustness.paraphrases)
        _write(request.results_path / "report.html", render(data))
    # Only this file holds times: all others have the same bytes when the run is repeated.
    finished = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
        "seconds": round(time.time() - started, 3),
    }
    _write_json(request.results_path / "record.json", {**record, **finished})
    return summary


def _predict(loaded: Loaded, dataset: Any, count: int, request: EvaluationRequest) -> Iterator[Any]:
    """Predictions of rows 0 to count - 1, in this order, each exactly once."""
    models = request.placement.place(loaded.models)
    batches = DataLoader(
        Subset(dataset, range(count)),
        batch_size=request.batch_size,
        collate_fn=dataset.collater,
        num_workers=request.num_workers,
    )
    done = 0
    with torch.inference_mode(), tqdm(total=count, unit="row", desc="evaluate") as progress:
        for batch in batches:
            ids = [str(row_id) for row_id in batch["id"]]
            found = loaded.task.predict(models, request.placement.move(batch))
            if [prediction.row_id for prediction in found] != ids:
                raise RuntimeError(
                    f"rows {done} to {done + len(ids) - 1}: answers lost or mixed up"
                )
            yield from found
            done += len(ids)
            progress.update(len(ids))
    if done != count:
        raise RuntimeError(f"{count} rows to evaluate, {done} answered")


def _warn_of_shared_ids(dataset: Any, ids: Sequence[str]) -> None:
    """Each row counts, but whoever looks predictions up by id would miss some."""
    first: dict[str, int] = {}
    repeated = [row for row, row_id in enumerate(ids) if first.setdefault(row_id, row) != row]
    if repeated:
        path, number = dataset.place(repeated[0])
        logger.warning(
            "%s:%d: has the id %r of row %d, as %d rows have that of an earlier one; give every "
            "row its own",
            *(path, number, ids[repeated[0]], dataset.place(first[ids[repeated[0]]])[1]),
            len(repeated),
        )


def _compare_wordings(
    loaded: Loaded, dataset: Any, summary: Summary, request: EvaluationRequest
) -> Paraphrases:
    def predict(reworded: Any) -> Iterator[Any]:
        return _predict(loaded, reworded, len(summary.rows), request)

    return evaluate_wordings(loaded, dataset, summary, predict, request.load.seed)


def _write_results(
    request: EvaluationRequest, task_name: str, summary: Summary, robustness: Robustness
) -> None:
    folder = request.results_path
    lines = [json.dumps(prediction_line(row), ensure_ascii=False) for row in summary.rows]
    _write(folder / "predictions.jsonl", "\n".join(lines) + "\n")
    _write_json(folder / "metrics.json", {**summary.as_dict(), **robustness.as_dict()})
    released = released_records(task_name, summary.rows)
    _write(folder / f"{request.gen_subset}_predict.json", json.dumps(released, ensure_ascii=False))


def _make_record(request: EvaluationRequest, loaded: Loaded, rows: int) -> dict[str, Any]:
    options = {
        key: value
        for key, value in sorted(vars(loaded.task_options).items())
        if not key.startswith("_")
    }
    data_file = loaded.task_options.data.split(",")[-1]
    return {
        "command": request.command,
        "task": loaded.task_name,
        "split": request.gen_subset,
        "rows": rows,
        "data": file_record(data_file),
        "checkpoints": [file_record(path) for path in request.load.paths],
        "averaged_weights": request.load.ema,
        "overrides": request.load.overrides,
        "task_options": options,
        "batch_size": request.batch_size,
        "precision": str(request.placement.dtype).removeprefix("torch."),
        "device": request.placement.device_name,
        "seed": request.load.seed,
        "versions": versions(),
    }


def _make_report(
    request: EvaluationRequest,
    loaded: Loaded,
    dataset: Any,
    summary: Summary,
    record: dict[str, Any],
) -> ReportData:
    first = Path(request.load.paths[0])
    log = find_training_log(first, request.log_file, loaded.saved.log_file)
    curves = read_curves(log) if log is not None else []
    logger.info("training curves: %s", log if log is not None else "no log found")
    worst, best = select_examples(summary.rows, EXAMPLES_SHOWN)
    return ReportData(
        title=f"{first.name} on {Path(loaded.task_options.data.split(',')[-1]).name}",
        task=loaded.task_name,
        split=request.gen_subset,
        measures=summary.measures,
        record=record,
        curves=curves,
        best_metric=loaded.task.metric_name,
        confusion=summary.confusion,
        reliability=summary.reliability,
        worst=_show(loaded.task, dataset, worst, summary.rows),
        best=_show(loaded.task, dataset, best, summary.rows),
        notes=[*doubts(record["answer_set"]), *summary.scored.notes],
    )


def _show(
    task: Any, dataset: Any, picked: Sequence[int], rows: Sequence[Row]
) -> list[ShownExample]:
    """The picked rows with the text and the picture that the model read."""
    shown = []
    for index in picked:
        example = dataset[index]
        image = None
        if example.image is not None and example.image_is_real:
            image = picture_uri(example.image, task.image_mean, task.image_std)
        source = task.tokenizer.decode(example.source.tolist()).strip()
        drawing = None
        if image is not None and example.image_size is not None:
            gold = task_boxes(task.scored_as, rows[index].gold)
            found = task_boxes(task.scored_as, rows[index].answer, scored=True)
            drawing = draw_boxes(gold, found, example.image_size)
        shown.append(ShownExample(rows[index], source, image, drawing))
    return shown


def _write_json(path: Path, content: object) -> None:
    _write(path, json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    logger.info("wrote %s", path)
