"""Readers of the file formats that data sets come in; errors name the file and the row."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, cast
from xml.etree import ElementTree

Row = dict[str, Any]
Kinds = Mapping[str, type]
_ANY_KIND: Kinds = MappingProxyType({})
_KIND_NAMES: dict[type, str] = {str: "text", list: "a list of texts", dict: "an object"}
_LARGEST_CELL = 1 << 27
_SHEET_SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@contextmanager
def open_text(path: Path) -> Iterator[io.TextIOBase]:
    """A UTF-8 file, packed with gzip or not; its faults are errors that name it."""
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with open_binary(path) as raw:
            yield io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}:{_first_bad_line(path)}: expected UTF-8 text, found the byte "
            f"0x{error.object[error.start]:02x}; save the file as UTF-8"
        ) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: damaged gzip file: {error}") from error


def open_binary(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked when its name ends in .gz."""
    return cast(BinaryIO, gzip.open(path) if path.suffix == ".gz" else path.open("rb"))


def _first_bad_line(path: Path) -> int:
    with open_binary(path) as raw:
        for number, line in enumerate(raw, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


def find_file(folder: Path, *patterns: str) -> Path:
    """The first file of the folder that fits one of the patterns."""
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            return path
    raise FileNotFoundError(f"{folder}: expected {' or '.join(patterns)}, found none")


def read_csv(path: Path, columns: Collection[str]) -> Iterator[dict[str, str]]:
    """Rows of a CSV file whose header has these columns; all have as many cells as the header."""
    csv.field_size_limit(_LARGEST_CELL)
    with open_text(path) as stream:
        reader = csv.reader(stream)
        try:
            header = next(reader, [])
            missing = sorted(set(columns) - set(header))
            if missing:
                raise ValueError(f"{path}: expected the columns {missing}, found {header}")
            for cells in reader:
                if cells and len(cells) != len(header):
                    raise ValueError(
                        f"{path}:{reader.line_num}: expected {len(header)} cells as in the header, "
                        f"found {len(cells)}; texts that hold a comma need quotes"
                    )
                if cells:
                    yield dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise ValueError(f"{path}:{reader.line_num}: {error}") from error


def read_pairs(path: Path) -> Iterator[tuple[str, str]]:
    """First and second cell of each line with a tab; no header, no quotes."""
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            first, tab, second = line.rstrip("\r\n").partition("\t")
            if tab:
                yield first.strip(), second.strip()
            elif first.strip():
                raise ValueError(f"{path}:{number}: expected two columns, found one")


def read_json(path: Path) -> Any:
    """The value of a JSON file."""
    with open_text(path) as stream:
        return _parse_json(stream.read(), str(path))


def _parse_json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not valid JSON: {error}") from error


def read_json_rows(path: Path, fields: Collection[str], kinds: Kinds = _ANY_KIND) -> list[Row]:
    """Objects of a JSON list, or of a file with one on each line; see `check_rows`."""
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        return check_rows(read_json(path), fields, path, kinds)
    with open_text(path) as stream:
        rows = [
            _parse_json(line, f"{path}:{number}")
            for number, line in enumerate(stream, start=1)
            if line.strip()
        ]
    return check_rows(rows, fields, path, kinds)


def check_rows(
    rows: Any, fields: Collection[str], path: Path, kinds: Kinds = _ANY_KIND
) -> list[Row]:
    """The rows, if they are a list of dicts that have these fields; ValueError otherwise.

    kinds: what the program takes apart itself, such as a file name: str, dict, or list (of texts).
    Other values may be anything: `Record` says what becomes of them.
    """
    if not isinstance(rows, list):
        raise ValueError(f"{path}: expected a list, found {type(rows).__name__}")
    for number, row in enumerate(rows, start=1):
        missing = sorted(set(fields) - set(row)) if isinstance(row, dict) else sorted(fields)
        if missing:
            raise ValueError(f"{path}: item {number} lacks {', '.join(missing)}")
        for field, kind in kinds.items():
            value = row.get(field)
            parts = value if kind is list and isinstance(value, list) else []
            if not isinstance(value, kind) or not all(isinstance(part, str) for part in parts):
                raise ValueError(
                    f"{path}: item {number}: {field} must be {_KIND_NAMES[kind]}, "
                    f"found {value!r:.80}"
                )
    return rows


def read_xml(path: Path) -> ElementTree.Element:
    """Root of an XML file."""
    try:
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is not valid XML: {error}") from error


def read_xlsx(path: Path, columns: Collection[str]) -> Iterator[dict[str, str]]:
    """Rows of the first sheet of a workbook, whose first row names these columns."""
    shared: list[str] = []
    try:
        with zipfile.ZipFile(path) as archive:
            if "xl/sharedStrings.xml" in archive.namelist():
                root = ElementTree.fromstring(archive.read("xl/sharedStrings.xml"))
                shared = [_sheet_text(item) for item in root.iter(f"{_SHEET_SPACE}si")]
            sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError) as error:
        raise ValueError(f"{path}: expected a workbook (.xlsx): {error}") from error
    names: dict[str, str] = {}
    for row in sheet.iter(f"{_SHEET_SPACE}row"):
        cells = {}
        for cell in row.iter(f"{_SHEET_SPACE}c"):
            text = _sheet_text(cell)
            column = re.sub(r"\d+$", "", cell.get("r", ""))
            cells[column] = shared[int(text)] if cell.get("t") == "s" else text
        if names:
            yield {name: cells.get(column, "") for column, name in names.items()}
        else:
            names = cells
            missing = sorted(set(columns) - set(names.values()))
            if missing:
                raise ValueError(
                    f"{path}: expected the columns {missing}, found {sorted(names.values())}"
                )


def _sheet_text(element: ElementTree.Element) -> str:
    kinds = (f"{_SHEET_SPACE}t", f"{_SHEET_SPACE}v")
    return "".join(part.text or "" for part in element.iter() if part.tag in kinds)
