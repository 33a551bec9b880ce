"""Written rows come back, whatever they hold and in whatever order they are read."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.data.tsv_index import load_offsets, scan_offsets

CELL = st.text(st.characters(blacklist_characters="\t\n\r\0\ufeff", blacklist_categories=("Cs",)))


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=12))
    # A file of one empty row without a newline would be an empty file.
    return [["x"] * width, *rows]


@settings(deadline=None, max_examples=100)
@given(
    table=tables(),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    cuts=st.lists(st.integers(0, 12), max_size=2),
    data=st.data(),
)
def test_rows_come_back_from_shards(
    table: list[list[str]], end: str, last: bool, cuts: list[int], data: st.DataObject
) -> None:
    bounds = sorted({0, len(table), *(c for c in cuts if c < len(table))})
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for start, stop in zip(bounds, bounds[1:], strict=False):
            path = Path(folder) / f"{start}.tsv"
            lines = ["\t".join(row) for row in table[start:stop]]
            # Without a last newline an empty last row does not exist.
            final = end if last or not lines[-1] else ""
            path.write_bytes((end.join(lines) + final).encode())
            paths.append(str(path))
        reader = TsvReader(",".join(paths))
        assert len(reader) == len(table)
        for i in data.draw(st.permutations(range(len(table)))):
            assert reader[i] == table[i]
        chosen = data.draw(st.lists(st.integers(0, len(table[0]) - 1), min_size=1, max_size=5))
        picked = TsvReader(paths, ",".join(map(str, chosen)))
        assert list(picked) == [[row[c] for c in chosen] for row in table]
        for position, column in enumerate(chosen):
            assert list(picked.column(position)) == [row[column] for row in table]


@settings(deadline=None, max_examples=60)
@given(content=st.binary(min_size=1, max_size=200).map(lambda b: b.replace(b"\x01", b"\n")))
def test_offsets_are_those_of_a_plain_split(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tsv"
        path.write_bytes(content)
        lines = content.split(b"\n")
        expected = [0]
        for line in lines[:-1]:
            expected.append(expected[-1] + len(line) + 1)
        if lines[-1]:
            expected.append(len(content))
        assert scan_offsets(str(path)).tolist() == expected
        assert load_offsets(str(path))[0].tolist() == expected
        assert load_offsets(str(path))[0].tolist() == expected
