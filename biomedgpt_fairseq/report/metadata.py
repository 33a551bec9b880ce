"""Facts about rows from a side file: id -> values of the wanted columns."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DELIMITERS = {".csv": ",", ".tsv": "\t"}
UNKNOWN = "unknown"
SHOWN = 3
Table = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Attribute:
    """What rows are grouped by, such as the site.

    labels: the group of each row (N,); origin: where they were read.
    """

    name: str
    labels: Sequence[str]
    origin: str


def read_metadata(path: Path, key: str, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Id -> values of the named columns, "" where there is none.

    path: .csv or .tsv with a header row, or .jsonl with an object a line; UTF-8.  key: the column
    of the ids.  An id may come again with the same values only.
    Raises FileNotFoundError or ValueError that names the file, the line and what is wrong there.
    """
    table: dict[str, tuple[str, ...]] = {}
    seen: dict[str, int] = {}
    for line, entry in _entries(path):
        missing = [name for name in (key, *names) if name not in entry]
        if missing:
            raise ValueError(
                f"{path}:{line}: no column {missing[0]!r}; there are: {', '.join(map(str, entry))}"
            )
        row_id, *values = (_as_text(path, line, name, entry[name]) for name in (key, *names))
        if not row_id:
            raise ValueError(f"{path}:{line}: the id {key!r} is empty")
        if table.setdefault(row_id, tuple(values)) != tuple(values):
            raise ValueError(
                f"{path}:{line}: id {row_id!r} has other values of {', '.join(names)} than in line "
                f"{seen[row_id]}; a row can be in one group only"
            )
        seen.setdefault(row_id, line)
    if not table:
        raise ValueError(f"{path}: no rows")
    return table


def label_rows(
    ids: Sequence[str], table: Table, names: Sequence[str], origin: str, allow_unknown: bool
) -> list[Attribute]:
    """The attributes of rows by their ids.

    table: id -> one value for each name.  Raises ValueError for ids without an entry or a value,
    unless allow_unknown, which puts them into the group "unknown".
    """
    absent = [row_id for row_id in ids if row_id not in table]
    if absent and not allow_unknown:
        raise ValueError(
            f"{origin}: {_some('row', absent, len(ids))} not there; the file has ids such as "
            f"{_listed(list(table))}. Check --metadata-key, or count these rows as {UNKNOWN!r} by "
            "--allow-unknown-groups"
        )
    nothing = ("",) * len(names)
    columns = zip(*(table.get(row_id, nothing) for row_id in ids), strict=True)
    return [
        make_attribute(name, list(values), ids, origin, allow_unknown)
        for name, values in zip(names, columns, strict=True)
    ]


def make_attribute(
    name: str, values: Sequence[str], ids: Sequence[str], origin: str, allow_unknown: bool
) -> Attribute:
    """An attribute from the values (N,) of all rows; what empty ones mean is as in `label_rows`."""
    empty = [row_id for row_id, value in zip(ids, values, strict=True) if not value]
    if empty and not allow_unknown:
        raise ValueError(
            f"{origin}: {_some('row', empty, len(ids))} without a value of {name!r}; count these "
            f"rows as {UNKNOWN!r} by --allow-unknown-groups"
        )
    return Attribute(name, [value or UNKNOWN for value in values], origin)


def _entries(path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    """(line number, column -> value) of each row."""
    if not path.is_file():
        raise FileNotFoundError(f"--metadata {path}: no such file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"--metadata {path}: expected UTF-8 text: {error}") from error
    if path.suffix == ".jsonl":
        yield from _json_entries(path, text)
    elif path.suffix in DELIMITERS:
        yield from _cell_entries(path, text, DELIMITERS[path.suffix])
    else:
        known = ", ".join((*DELIMITERS, ".jsonl"))
        raise ValueError(f"--metadata {path}: expected a file whose name ends in {known}")


def _json_entries(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}:{number}: not valid JSON: {error}") from error
        if not isinstance(entry, dict):
            raise ValueError(f"{path}:{number}: expected a JSON object, found {line[:80]}")
        yield number, entry


def _cell_entries(
    path: Path, text: str, delimiter: str
) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise ValueError(f"{path}: a column name comes twice in {', '.join(header)}")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise ValueError(
                    f"{path}:{reader.line_num}: expected {len(header)} cells as in the header, "
                    f"found {len(cells)}"
                )
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise ValueError(f"{path}:{reader.line_num}: {error}") from error


def _as_text(path: Path, line: int, name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise ValueError(f"{path}:{line}: expected a text or number as {name!r}, found {value!r:.80}")


def _some(what: str, found: Sequence[str], total: int) -> str:
    verb = "is" if len(found) == 1 else "are"
    return f"{len(found)} of {total} {what}s ({_listed(found)}) {verb}"


def _listed(values: Sequence[str]) -> str:
    shown = ", ".join(repr(value) for value in values[:SHOWN])
    return shown + (", ..." if len(values) > SHOWN else "")
