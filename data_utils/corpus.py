"""THE conversion of a corpus: records to checked TSV files, answer set, data card."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from biomedgpt_fairseq.data.answers import training_answer
from biomedgpt_fairseq.data.tsv_writer import MAX_LISTED_REJECTS, write_json
from data_utils.images import ImagePolicy
from data_utils.layouts import REFERENCES, Layout, Record, as_texts
from data_utils.partition import assign_by_group
from data_utils.row_maker import RowMaker, digest
from data_utils.splits import (
    SPLIT_ORDER,
    LeakDecision,
    LeakPolicy,
    decide_leaks,
    find_leaks,
)
from data_utils.writer import Conversion, RejectedItem, Target

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CorpusOptions:
    """Choices of a conversion.

    fractions: train, valid, test where the source gives no split. valid_share: part of the training
    groups that becomes the validation split where the source has none. answers_from: splits whose
    answers make the closed set.
    """

    on_leak: LeakPolicy = "error"
    fractions: tuple[float, ...] = (0.8, 0.1, 0.1)
    valid_share: float = 0.1
    seed: int = 1
    images: ImagePolicy = ImagePolicy()
    answers_from: tuple[str, ...] = ("train",)


@dataclass(frozen=True)
class Corpus:
    """What is converted, from which files, by which program."""

    tool: str
    layout: Layout
    items: Iterable[Record | RejectedItem]
    sources: Sequence[Path] = ()
    answers: tuple[str, ...] = ()  # a closed set that is known beforehand


def convert_corpus(
    corpus: Corpus, output: Path, options: CorpusOptions, facts: Mapping[str, object] | None = None
) -> None:
    """Write one TSV file for each split, answers.json, card.json and, if drawn, splits.json.

    facts: further options for the card. Raises ValueError when splits share rows and
    `options.on_leak` is "error", and when nothing is left to write.
    """
    layout = corpus.layout
    records, rejects = _sort_out(corpus.items, layout)
    maker = RowMaker(layout, options.images)
    keys = [maker.key(r) for r in tqdm(records, desc="check", unit="item", disable=None)]
    placed = assign_splits(records, keys, layout, options)
    rows = _by_split(placed)
    decision = decide_leaks({s: [keys[row] for row in c] for s, c in rows.items()}, options.on_leak)
    _refuse_leftovers(output, rows)
    described = {"task": layout.task, **asdict(options), **(facts or {}), "items": digest(placed)}
    conversion = Conversion(output, corpus.tool, described, corpus.sources)
    kept = {s: [placed[row] for row in _kept(rows[s], s, decision)] for s in rows}
    for split, column in kept.items():
        target = Target(f"{split}.tsv", layout.columns, len(column))
        written = conversion.write(target, partial(_from, column), maker.make)
        logger.info("%s: %d rows of %d items", target.name, written, len(rows[split]))
    (output / "splits.json").unlink(missing_ok=True)
    if [record.split for record in placed] != [record.split for record in records]:
        write_json(output / "splits.json", {s: [r.item for r in c] for s, c in kept.items()})
    card: dict[str, object] = {"leaks": decision.facts(), **rejects}
    card["groups_shared"] = _count_shared_groups(kept)
    if layout.answer:
        shown = {s: [r for r in c if maker.can_make(r)] for s, c in kept.items()}
        texts = {s: [_answer(record, layout) for record in c] for s, c in shown.items()}
        answers = corpus.answers or collect_answers(texts, options.answers_from)
        write_json(output / "answers.json", {answer: index for index, answer in enumerate(answers)})
        card["answers"] = _answer_facts(texts, answers, options.answers_from)
    conversion.finish(**card)


def assign_splits(
    records: Sequence[Record], keys: Sequence[str], layout: Layout, options: CorpusOptions
) -> list[Record]:
    """The records with a split each, drawn where the source gives none.

    Records of one group, or without groups those with equal keys, come into one split.
    """
    given = sum(bool(record.split) for record in records)
    if 0 < given < len(records):
        raise ValueError(f"{given} of {len(records)} items have a split; give all or none")
    fractions = options.fractions
    drawn = list(range(len(records)))
    if given:
        names = {record.split for record in records}
        if not options.valid_share or "valid" in names or "train" not in names:
            return list(records)
        fractions = (1 - options.valid_share, options.valid_share, 0.0)
        drawn = [row for row in drawn if records[row].split == "train"]
    labels = [records[row].cells.get(layout.balance, "") for row in drawn]
    groups = [records[row].group or keys[row] or records[row].item for row in drawn]
    placed = list(records)
    for row, split in zip(
        drawn, assign_by_group(labels, groups, fractions, options.seed), strict=True
    ):
        placed[row] = replace(records[row], split=split)
    return placed


def _refuse_leftovers(output: Path, splits: Iterable[str]) -> None:
    """A validation file that was drawn before would overlap with training rows of now."""
    for split in set(SPLIT_ORDER) - set(splits):
        if (output / f"{split}.tsv").exists():
            raise ValueError(
                f"{output} holds {split}.tsv of an earlier conversion, which this one would not "
                "write; delete it or choose another --output"
            )


def _count_shared_groups(kept: Mapping[str, Sequence[Record]]) -> int:
    """Groups, such as patients, that the source itself has in several splits."""
    shared = len(find_leaks({split: [r.group for r in column] for split, column in kept.items()}))
    if shared:
        logger.warning("%d groups (patients, studies) are in several splits", shared)
    return shared


def collect_answers(texts: Mapping[str, Sequence[str]], splits: Sequence[str]) -> list[str]:
    """Different answers of the named splits, in order of appearance."""
    missing = [split for split in splits if split not in texts]
    if missing:
        raise ValueError(f"--answers-from: no split {missing[0]!r}; found {list(texts)}")
    if "test" in splits:
        logger.warning("the answer set holds answers of the test split: scores will be too good")
    return list(dict.fromkeys(text for split in splits for text in texts[split]))


def _answer_facts(
    texts: Mapping[str, Sequence[str]], answers: Sequence[str], splits: Sequence[str]
) -> dict[str, object]:
    known = set(answers)
    outside = {s: sum(text not in known for text in c) for s, c in texts.items()}
    logger.info("%d answers; rows with other answers: %s", len(answers), outside)
    return {
        "count": len(answers),
        "from": list(splits),
        "uses_test_answers": "test" in splits,
        "rows_outside": outside,
    }


def _answer(record: Record, layout: Layout) -> str:
    cell = record.cells[layout.answer]
    return training_answer(cell) if layout.answer == REFERENCES else cell


def _sort_out(
    items: Iterable[Record | RejectedItem], layout: Layout
) -> tuple[list[Record], dict[str, object]]:
    """Records with clean cells, and facts about what gives no row."""
    records = []
    known: set[tuple[str, str]] = set()
    counts: Counter[str] = Counter()
    listed: list[list[str]] = []
    for item in tqdm(items, desc="read", unit="item", disable=None):
        if isinstance(item, RejectedItem):
            name, fault = item.item, item.reason
        else:
            name = item.item
            record, fault = as_texts(item, layout)
            identity = (record.split, str(record.cells.get(layout.identity, name)))
            if not fault and layout.identity and identity in known:
                fault = "an earlier item has this id"
            known.add(identity)
        if not fault:
            records.append(record)
            continue
        counts[fault] += 1
        if len(listed) < MAX_LISTED_REJECTS:
            listed.append([name, fault])
    logger.info("%d items; rejected: %s", len(records) + counts.total(), dict(counts))
    if not records:
        raise ValueError(f"no item gives a row; rejected: {dict(counts)}")
    return records, {"rejected": dict(counts), "rejects": listed}


def _by_split(records: Sequence[Record]) -> dict[str, list[int]]:
    """Split -> numbers of its records, the usual splits first."""
    rank = {split: place for place, split in enumerate(SPLIT_ORDER)}
    names = sorted({r.split for r in records}, key=lambda name: (rank.get(name, len(rank)), name))
    rows: dict[str, list[int]] = {name: [] for name in names}
    for row, record in enumerate(records):
        rows[record.split].append(row)
    return rows


def _kept(rows: Sequence[int], split: str, decision: LeakDecision) -> list[int]:
    return [row for place, row in enumerate(rows) if place not in decision.dropped[split]]


def _from(column: Sequence[Record], start: int) -> Iterator[Record]:
    return iter(column[start:])
