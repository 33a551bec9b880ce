"""Readers of the file formats that data sets come in; errors name the file and the row."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

Row = dict[str, Any]
_LARGEST_CELL = 1 << 27
_SHEET_SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def open_text(path: Path) -> io.TextIOBase:
    """A UTF-8 file, packed with gzip or not."""
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def find_file(folder: Path, *patterns: str) -> Path:
    """The first file of the folder that fits one of the patterns."""
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            return path
    raise FileNotFoundError(f"{folder}: expected {' or '.join(patterns)}, found none")


def read_csv(path: Path, columns: Collection[str]) -> Iterator[dict[str, str]]:
    """Rows of a CSV file whose header has these columns."""
    csv.field_size_limit(_LARGEST_CELL)
    with open_text(path) as stream:
        reader = csv.DictReader(stream, restval="")
        missing = sorted(set(columns) - set(reader.fieldnames or []))
        if missing:
            raise ValueError(f"{path}: expected the columns {missing}, found {reader.fieldnames}")
        yield from reader


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
        return json.load(stream)


def read_json_rows(path: Path, fields: Collection[str]) -> list[Row]:
    """Objects of a JSON list, or of a file with one on each line, which have these fields."""
    with open_text(path) as stream:
        lines = path.name.endswith((".jsonl", ".jsonl.gz"))
        rows = [json.loads(line) for line in stream if line.strip()] if lines else json.load(stream)
    return check_rows(rows, fields, path)


def check_rows(rows: Any, fields: Collection[str], path: Path) -> list[Row]:
    """The rows, if they are a list of dicts that have these fields; ValueError otherwise."""
    if not isinstance(rows, list):
        raise ValueError(f"{path}: expected a list, found {type(rows).__name__}")
    for number, row in enumerate(rows, start=1):
        missing = sorted(set(fields) - set(row)) if isinstance(row, dict) else sorted(fields)
        if missing:
            raise ValueError(f"{path}: item {number} lacks {', '.join(missing)}")
    return rows


def read_xml(path: Path) -> ElementTree.Element:
    """Root of an XML file."""
    try:
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is not valid XML: {error}") from error


def read_xlsx(path: Path) -> Iterator[dict[str, str]]:
    """Rows of the first sheet of a workbook, by the names in its first row."""
    with zipfile.ZipFile(path) as archive:
        shared: list[str] = []
        if "xl/sharedStrings.xml" in archive.namelist():
            root = ElementTree.fromstring(archive.read("xl/sharedStrings.xml"))
            shared = [_sheet_text(item) for item in root.iter(f"{_SHEET_SPACE}si")]
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
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


def _sheet_text(element: ElementTree.Element) -> str:
    kinds = (f"{_SHEET_SPACE}t", f"{_SHEET_SPACE}v")
    return "".join(part.text or "" for part in element.iter() if part.tag in kinds)
