"""Checks around an evaluation: where its answers came from, subgroups, wordings."""

import logging
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.fairseq_loading import Loaded
from biomedgpt_fairseq.report.metadata import (
    Attribute,
    label_rows,
    make_attribute,
    read_metadata,
)
from biomedgpt_fairseq.report.paraphrases import Paraphrases, compare_wordings, spread_limits
from biomedgpt_fairseq.report.subgroups import Breakdown, break_down, group_rows
from biomedgpt_fairseq.report.summary import Summary, summarize
from biomedgpt_fairseq.tasks.answer_set import describe_answers
from biomedgpt_fairseq.text.instructions import Instruction, get_instruction

logger = logging.getLogger(__name__)

MAX_TRAINING_BYTES = 2**30


@dataclass(frozen=True)
class GroupRequest:
    """What rows are grouped by: columns of the evaluated file, and of a side file."""

    columns: Sequence[int] = ()
    metadata: Optional[Path] = None
    key: str = "id"
    """Column of the side file with the row ids."""
    names: Sequence[str] = ()
    """Columns of the side file to group by."""
    allow_unknown: bool = False
    """Rows without a value make a group of their own."""
    min_rows: int = 20
    """Smaller groups are shown but not compared."""


@dataclass(frozen=True)
class Robustness:
    """What was found beside the metrics of the split."""

    subgroups: Sequence[Breakdown] = ()
    paraphrases: Optional[Paraphrases] = None

    def as_dict(self) -> dict[str, Any]:
        """Further entries of metrics.json; none of what was not asked for."""
        entries: dict[str, Any] = {}
        if self.subgroups:
            entries["subgroups"] = [breakdown.as_dict() for breakdown in self.subgroups]
        if self.paraphrases is not None:
            entries["paraphrases"] = self.paraphrases.as_dict()
        return entries


def read_attributes(request: GroupRequest, task: Any, dataset: Any, rows: int) -> list[Attribute]:
    """The groups of the first rows; all that can be wrong with them is found before evaluating."""
    if not request.columns and request.metadata is None:
        return []
    places = [dataset.place(index) for index in range(rows)]
    ids = [str(index) for index in range(rows)]
    if task.input_form is not None and "id" in task.input_form.given:
        ids = _cells(places, task.cfg.selected_cols, task.input_form.given.index("id"))
    attributes = []
    for column in request.columns:
        name, origin = f"column {column}", places[0][0]
        cells = [cell.strip() for cell in _cells(places, str(column), 0)]
        attributes.append(make_attribute(name, cells, ids, origin, request.allow_unknown))
    if request.metadata is not None:
        table = read_metadata(request.metadata, request.key, request.names)
        origin = str(request.metadata)
        attributes += label_rows(ids, table, request.names, origin, request.allow_unknown)
    for attribute in attributes:
        group_rows(attribute)
    return attributes


def _cells(
    places: Sequence[tuple[str, int]], selected_cols: Optional[str], position: int
) -> list[str]:
    """One column of the rows at these places (file, row number from 1), all of one file."""
    cells = list(TsvReader(places[0][0], selected_cols).column(position))
    return [cells[number - 1] for _, number in places]


def break_down_all(
    attributes: Sequence[Attribute], summary: Summary, request: GroupRequest, seed: int
) -> list[Breakdown]:
    """Metrics of the groups of each attribute."""

    def measure(numbers: Sequence[int]) -> Any:
        return summary.scored.measures(seed, numbers)

    found = []
    for attribute in attributes:
        found.append(break_down(attribute, summary.rows, measure, request.min_rows, seed))
        logger.info("%s", found[-1].line())
    return found


def evaluate_wordings(
    loaded: Loaded,
    dataset: Any,
    released: Summary,
    predict: Callable[[Any], Iterator[Any]],
    seed: int,
) -> Paraphrases:
    """The rows once more in every other wording of the task's instruction.

    released: the result of the released wording.  predict: dataset -> predictions of its rows.
    """
    task = loaded.task
    first, *others = get_instruction(task.instruction).wordings()
    results = [(first.template, released.rows, released.measures)]
    metrics = [released.scored.metrics]
    meteor = any(measure.name == "METEOR" for measure in released.measures)
    for number, wording in enumerate(others, start=2):
        logger.info("wording %d of %d: %r", number, len(others) + 1, wording.template)
        predictions = list(predict(_reworded(dataset, wording)))
        found = summarize(task.scored_as, predictions, task.answers, seed, meteor)
        results.append((wording.template, found.rows, found.measures))
        metrics.append(found.scored.metrics)
    compared = compare_wordings(first.name, results, spread_limits(metrics, seed))
    logger.info("%s", compared.line())
    return compared


def _reworded(dataset: Any, wording: Instruction) -> Any:
    """The same rows with another instruction."""
    other, build = copy(dataset), dataset.build_example
    other.build_example = replace(build, tools=replace(build.tools, instruction=wording))
    return other


def answer_record(loaded: Loaded, dataset: Any) -> Optional[dict[str, Any]]:
    """Where the candidate answers came from; None for free answers."""
    task, options = loaded.task, loaded.task_options
    if task.answers is None:
        return None
    record = describe_answers(options.ans2label_file, task.answers, None)
    if record["card"] is None and (only := _only_evaluated(loaded, dataset)) is not None:
        record = describe_answers(options.ans2label_file, task.answers, only)
    for doubt in doubts(record):
        logger.warning("%s", doubt)
    return {**record, "extended_in_training": "answers" in task.state_dict()}


def doubts(record: Optional[dict[str, Any]]) -> list[str]:
    """What a reader of the scores must know about the candidate answers."""
    suspect = record is not None and (
        record["uses_test_answers"] or record["only_in_evaluated_rows"]
    )
    return [record["statement"]] if record is not None and suspect else []


def _only_evaluated(loaded: Loaded, dataset: Any) -> Optional[int]:
    """How many candidates are answers of evaluated rows only; None if training rows are not read.

    They are not when their files are gone or large, or belong to another task.
    """
    task = loaded.task
    training = [path for path in (loaded.saved.task.get("data") or "").split(",") if path][:-1]
    same_task = loaded.task_name == loaded.saved.task_name
    if task.answer_column is None or not same_task or not training:
        return None
    if not all(Path(path).is_file() for path in training):
        return None
    if sum(Path(path).stat().st_size for path in training) > MAX_TRAINING_BYTES:
        return None
    columns = loaded.saved.task.get("selected_cols")
    trained = _answers(task, TsvReader(training, columns))
    evaluated = _answers(task, TsvReader(dataset.place(0)[0], task.cfg.selected_cols))
    return len((evaluated - trained) & set(task.answers))


def _answers(task: Any, reader: TsvReader) -> set[str]:
    return {task.parse_answer(cell) for cell in set(reader.column(task.answer_column))}
