"""Rows with pictures from parquet files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_BATCH_ROWS = 64
_SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PN": ".png"}


def unpack_rows(
    files: Sequence[Path], folder: Path, columns: Sequence[str]
) -> Iterator[tuple[dict[str, Any], Path]]:
    """Each row and the file that its picture was unpacked to; equal pictures share a file.

    columns: the first holds the picture, as bytes or as {"bytes": ...}. Raises ValueError without
    the package pyarrow or without the columns.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError("parquet files need the package pyarrow: pip install pyarrow") from error
    folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        try:
            source = parquet.ParquetFile(path)
        except ValueError as error:
            raise ValueError(f"{path}: expected a parquet file: {error}") from error
        missing = sorted(set(columns) - set(source.schema_arrow.names))
        if missing:
            raise ValueError(f"{path}: lacks the columns {missing}")
        for batch in source.iter_batches(_BATCH_ROWS, columns=list(columns)):
            for row in batch.to_pylist():
                yield row, _unpack(row[columns[0]], folder)


def _unpack(picture: Any, folder: Path) -> Path:
    raw = picture.get("bytes") if isinstance(picture, dict) else picture
    content = raw if isinstance(raw, bytes) else b""
    name = hashlib.sha256(content).hexdigest()[:32] + _SUFFIXES.get(content[:3], ".image")
    target = folder / name
    if not target.is_file():
        target.write_bytes(content)
    return target
