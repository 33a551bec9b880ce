"""Pretraining files without some of their rows, and a report of what was left out."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.data.tsv_writer import TsvWriter, write_json
from data_utils.pretraining.worker import file_facts

logger = logging.getLogger(__name__)

REASON = "reason"
Facts = Mapping[str, object]


@dataclass(frozen=True)
class RowForm:
    """Columns of pretraining rows.

    widths: possible numbers of columns, the first being an id. image: of the picture. texts: those
    that can be alike. exact: those that must be equal for rows to be alike.
    """

    widths: tuple[int, ...]
    image: int | None
    texts: tuple[int, ...]
    exact: tuple[int, ...] = ()

    def open(self, paths: Sequence[Path]) -> TsvReader:
        """All rows of the files.  Raises ValueError when they have other columns."""
        names = Counter(path.name for path in paths)
        twice = sorted(name for name, count in names.items() if count > 1)
        if twice:
            raise ValueError(f"files need different names, found {', '.join(twice)} twice")
        reader = TsvReader([str(path) for path in paths])
        found = len(reader[0])
        if found not in self.widths:
            raise ValueError(
                f"{paths[0]}:1: expected {' or '.join(map(str, self.widths))} columns, found "
                f"{found}; choose another --rows"
            )
        return reader


ROW_FORMS = {
    "pairs": RowForm((8,), 1, (2, 3), exact=(4, 7)),
    "texts": RowForm((2,), None, (1,)),
    "pictures": RowForm((2, 3), 1, ()),
    "boxes": RowForm((3,), 1, ()),
}


def write_without(
    reader: TsvReader, removed: Mapping[int, Facts], output: Path, tool: str, options: Facts
) -> None:
    """Write each file of the reader to the folder, without the removed rows, and NAME.removed.json.

    removed: row -> its reason and facts for the report. A file of which nothing is left is not
    written.  Raises ValueError when that is all of them, or when a file would replace itself.
    """
    for path in map(Path, reader.paths):
        if (output / path.name).resolve() == path.resolve():
            raise ValueError(f"--output must be another folder than that of {path}")
    if len(removed) == len(reader):
        raise ValueError(f"all {len(reader)} rows would be removed, so nothing is written")
    columns = [f"column {number}" for number in range(len(reader[0]))]
    parts = itertools.groupby(range(len(reader)), key=lambda row: reader.locate(row)[0])
    for name, numbers in parts:
        rows = list(numbers)
        target = output / Path(name).name
        kept = [row for row in rows if row not in removed]
        gone = [_described(reader, row, removed[row]) for row in rows if row in removed]
        facts: dict[str, object] = {}
        if kept:
            with TsvWriter(target, columns) as writer:
                for row in kept:
                    writer.write(reader[row])
            facts = file_facts(target)
        else:
            target.unlink(missing_ok=True)
        counts = dict(Counter(str(fact[REASON]) for fact in gone))
        report = {"tool": tool, "options": options, "file": name, "rows": len(rows)}
        report |= {"kept": len(kept), **facts, "reasons": counts, "removed": gone}
        output.mkdir(parents=True, exist_ok=True)
        write_json(target.with_suffix(".removed.json"), report)
        logger.info("%s: %d of %d rows kept; removed: %s", target, len(kept), len(rows), counts)


def _described(reader: TsvReader, row: int, facts: Facts) -> dict[str, object]:
    return {"row": reader.locate(row)[1], "id": reader[row][0], **facts}
