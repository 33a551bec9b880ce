"""Readers of the file formats that data sets come in; errors name the file and the row."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, cast
from xml.etree import ElementTree

Row = dict[str, Any]
Kinds = Mapping[str, type]
_ANY_KIND: Kinds = MappingProxyType({})
_KIND_NAMES: dict[type, str] = {str: "text", list: "a list of texts", dict: "an object"}
_LARGEST_CELL = 1 << 27  # characters; also of a line, and of a cell that goes over lines
_LARGEST_JSON = 1 << 30
MAX_MEMBER = 1 << 28
"""Bytes, unpacked, of a part of an archive that is read at once: a small file can claim any."""
DAMAGED_ARCHIVE = (
    zipfile.BadZipFile,
    *(zlib.error, struct.error, OSError, EOFError, LookupError, ValueError, OverflowError),
    *(NotImplementedError, RuntimeError),  # packed or encrypted in a way that Python lacks
)
"""What reading a damaged zip archive may raise."""
_SHEET_SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


class _Lines(io.TextIOWrapper):
    """Text in lines; a packed file of a few kB could hold one that fills the memory."""

    def __next__(self) -> str:  # type: ignore[override]
        line = self.readline(_LARGEST_CELL + 1)
        if len(line) > _LARGEST_CELL:
            raise ValueError(
                f"{self.name}: a line of more than {_LARGEST_CELL:,} characters; are line ends "
                "missing, or is this no table?"
            )
        if not line:
            raise StopIteration
        return line


@contextmanager
def open_text(path: Path) -> Iterator[io.TextIOBase]:
    """A UTF-8 file, packed with gzip or not; its faults are errors that name it."""
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with open_binary(path) as raw:
            yield _Lines(raw, encoding="utf-8-sig", newline="")
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
    number = 1
    # The end of a gzip file may be damaged, too.
    with open_binary(path) as raw, suppress(OSError, EOFError, zlib.error):
        for number, line in enumerate(raw, start=1):  # noqa: B007
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                break
    return number


def find_file(folder: Path, *patterns: str) -> Path:
    """The first file of the folder that fits one of the patterns."""
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            return path
    raise FileNotFoundError(f"{folder}: expected {' or '.join(patterns)}, found none")


def inside(folder: Path, name: str) -> Path:
    """The file of the folder that a table names.  Raises ValueError where that leads out of it."""
    # By its words alone: whoever keeps pictures elsewhere may put links to them into the folder.
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(
            f"{folder}: a table names the file {name!r:.200}, which leads out of this folder; "
            "correct the table, and trust nothing else in it"
        )
    return folder / name


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
        parts, left = [], _LARGEST_JSON
        while part := stream.read(1 << 20):  # a packed file does not tell its length
            parts.append(part)
            left -= len(part)
            if left < 0:
                raise ValueError(f"{path}: more than {_LARGEST_JSON:,} characters: too many")
    return _parse_json("".join(parts), str(path))


def _parse_json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
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
                root = _member_xml(archive, "xl/sharedStrings.xml")
                shared = [_sheet_text(item) for item in root.iter(f"{_SHEET_SPACE}si")]
            sheet = _member_xml(archive, "xl/worksheets/sheet1.xml")
    except (*DAMAGED_ARCHIVE, ElementTree.ParseError) as error:
        raise ValueError(f"{path}: expected a workbook (.xlsx): {error}") from error
    names: dict[str, str] = {}
    for row in sheet.iter(f"{_SHEET_SPACE}row"):
        cells = {}
        for cell in row.iter(f"{_SHEET_SPACE}c"):
            text = _sheet_text(cell)
            column = re.sub(r"\d+$", "", cell.get("r", ""))
            if cell.get("t") == "s":
                known = text.isascii() and text.isdigit() and len(text) < 10
                if not known or int(text) >= len(shared):
                    raise ValueError(f"{path}: cell {cell.get('r')}: no shared text {text[:20]!r}")
                text = shared[int(text)]
            cells[column] = text
        if names:
            yield {name: cells.get(column, "") for column, name in names.items()}
        else:
            names = cells
            missing = sorted(set(columns) - set(names.values()))
            if missing:
                raise ValueError(
                    f"{path}: expected the columns {missing}, found {sorted(names.values())}"
                )


def _member_xml(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    size = archive.getinfo(name).file_size
    if size > MAX_MEMBER:
        raise ValueError(f"{name} has {size:,} bytes unpacked, more than {MAX_MEMBER:,}")
    return ElementTree.fromstring(archive.read(name))


def _sheet_text(element: ElementTree.Element) -> str:
    kinds = (f"{_SHEET_SPACE}t", f"{_SHEET_SPACE}v")
    return "".join(part.text or "" for part in element.iter() if part.tag in kinds)
