"""Reference answers of a row, and the search for answers outside a closed set."""

from __future__ import annotations

import math
from collections.abc import Callable, Container

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.tsv import TsvReader

_BETWEEN = "&&"
_AFTER_CONFIDENCE = "|!+"


def parse_references(cell: str) -> dict[str, float]:
    """Answer -> confidence, from `confidence|!+answer` items joined by `&&`.

    Raises BadRow when an item has another form, and for a weight that is no number from 0 on.
    """
    references = {}
    for item in cell.split(_BETWEEN):
        confidence, mark, answer = item.partition(_AFTER_CONFIDENCE)
        try:
            weight = float(confidence)
        except ValueError:
            mark, weight = "", 0.0
        if not mark or not answer.strip() or not 0 <= weight < math.inf:
            raise BadRow(
                f"expected references as confidence|!+answer, joined by &&, found {item[:80]!r}"
            )
        references[answer] = weight
    return references


def best_answer(references: dict[str, float]) -> str:
    """The answer of the highest confidence; the first of equals."""
    return max(references, key=references.__getitem__)


def training_answer(cell: str) -> str:
    """The answer that a row with this reference cell trains."""
    return best_answer(parse_references(cell))


def find_unknown_answers(
    reader: TsvReader,
    column: int,
    known: Container[str],
    parse: Callable[[str], str] = training_answer,
) -> list[tuple[int, str]]:
    """Rows whose answer is not in the closed set, as (row, answer).

    column: position of the answer among the reader's selected columns; parse: cell -> answer
    (`str` for columns that hold the answer itself).
    """
    unknown = []
    cache: dict[str, tuple[str, bool]] = {}
    for row, cell in enumerate(reader.column(column)):
        if cell not in cache:
            answer = _parse(parse, cell, reader, row)
            cache[cell] = (answer, answer in known)
        answer, is_known = cache[cell]
        if not is_known:
            unknown.append((row, answer))
    return unknown


def _parse(parse: Callable[[str], str], cell: str, reader: TsvReader, row: int) -> str:
    try:
        return parse(cell)
    except BadRow as error:
        raise error.at(*reader.locate(row)) from None
